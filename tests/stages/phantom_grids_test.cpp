#include "stages/phantom_grids.hpp"

#include "stages/phantom_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

PhantomOptions grid(const std::string& kind, std::int64_t tile) {
  PhantomOptions options;
  options.kind = kind;
  options.tile = tile;
  return options;
}

TEST(KudoGrid, HasTheTilesOfItsPaper) {
  EXPECT_EQ(kudo_extent(grid("kudo", 32)), (std::array<std::int64_t, 3>{224, 256, 15}));
  const auto options = grid("kudo", 2);
  const auto head = draw_kudo_grid(options);
  const auto at = [&](std::int64_t column, std::int64_t row, std::int64_t z) {
    return static_cast<std::size_t>((z * 16 + 2 * row) * 14 + 2 * column);
  };
  // Slice 7: the second section, CBV 3.
  const auto& k = head.kinetics[at(0, 4, 7)];
  EXPECT_EQ(k.residue, Residue::linear);
  EXPECT_DOUBLE_EQ(k.mtt, 24.0);
  EXPECT_DOUBLE_EQ(k.delay, 2.0);
  EXPECT_DOUBLE_EQ(k.cbf, 60.0 * 3.0 / 24.0);
  EXPECT_NEAR(head.kinetics[at(6, 0, 14)].mtt, 3.4286, 1e-4);
  EXPECT_EQ(head.kinetics[at(6, 0, 14)].residue, Residue::box);
  EXPECT_EQ(head.tissue[at(0, 7, 0)], Tissue::artery);
  EXPECT_EQ(head.tissue[at(3, 7, 0)], Tissue::air);
  EXPECT_EQ(head.tissue[at(6, 7, 0)], Tissue::vein);
  EXPECT_EQ(head.labels.levels.size(), 3u * 5 * 7 * 7);
  EXPECT_EQ(head.labels.levels.at(1), (std::vector<std::string>{"exponential", "1", "24", "0"}));
}

TEST(StudyGrid, CrossesAllItsFactors) {
  const auto options = grid("study", 3);
  const auto head = draw_study_grid(options);
  EXPECT_EQ(head.labels.levels.size(), 3u * 4 * 3 * 5 * 3);
  std::set<std::vector<std::string>> different;
  for (const auto& [label, levels] : head.labels.levels) different.insert(levels);
  EXPECT_EQ(different.size(), head.labels.levels.size());
  for (std::size_t i = 0; i < head.label.size(); ++i) {
    const auto& levels = head.labels.levels.at(static_cast<int>(head.label[i]));
    ASSERT_EQ(levels[0], std::to_string(static_cast<int>(head.snr[i])));
    ASSERT_EQ(levels[1], residue_name(head.kinetics[i].residue));
    ASSERT_EQ(std::stod(levels[3]), head.kinetics[i].delay);
    ASSERT_EQ(std::stod(levels[4]), head.kinetics[i].dispersion);
  }
  EXPECT_EQ(std::count(head.label.begin(), head.label.end(), 17.0f), 9) << "a tile of 3 x 3 voxels";
}

TEST(StudyGrid, HasTheNoiseThatItsLabelsSay) {
  auto options = grid("study", 4);
  options.out_of_steady_state = false;
  const auto p = simulate_patient(options, 1, 1);
  const std::size_t frames = p.times.size(), slice = p.label.size() / 3;
  for (std::size_t z = 0; z < 3; ++z) {
    double squares = 0.0;
    for (std::size_t i = z * slice; i < (z + 1) * slice; ++i)
      squares += 0.5 * std::pow(p.signal[i * frames] - p.signal[i * frames + 1], 2) / static_cast<double>(slice);
    // A variance from 2880 differences is good to 2.6 % (one SD).
    const double snr = z == 0 ? 20.0 : z == 1 ? 50.0 : 100.0;
    EXPECT_NEAR(1000.0 / std::sqrt(squares), snr, 0.05 * snr);
  }
}

TEST(StudyGrid, TruthIsThatOfItsLabels) {
  const auto p = simulate_patient(grid("study", 1), 1, 1);
  for (std::size_t i = 0; i < p.label.size(); ++i) {
    const auto& levels = p.labels.levels.at(static_cast<int>(p.label[i]));
    ASSERT_EQ(p.delay[i], std::stof(levels[3]));
    ASSERT_NEAR(p.truth[index(Parameter::cbf)][i],
                levels[2] == "grey"    ? 53.0
                : levels[2] == "white" ? 25.0
                                       : 16.0,
                1e-5);
    if (levels[4] == "0") {
      ASSERT_EQ(p.truth[index(Parameter::tmax)][i], p.delay[i]);
    } else {
      ASSERT_GT(p.truth[index(Parameter::tmax)][i], p.delay[i]) << "dispersion makes the maximum late";
    }
  }
}

TEST(AnatomyLabels, TellTissueStateAndResidueFunctionApart) {
  PhantomOptions options;
  options.size = {48, 48, 3};
  const auto p = simulate_patient(options, 1, 1);
  std::size_t labelled = 0;
  for (std::size_t i = 0; i < p.label.size(); ++i) {
    if (p.label[i] == 0.0f) continue;
    ++labelled;
    const auto& state = p.labels.levels.at(static_cast<int>(p.label[i]))[1];
    ASSERT_EQ(state, p.lesion[i] == 0 ? "normal" : p.lesion[i] == 1 ? "penumbra" : "core");
  }
  std::size_t perfused = 0;
  for (float cbf : p.truth[index(Parameter::cbf)]) perfused += cbf > 0.0f;
  EXPECT_EQ(labelled, perfused) << "what has a truth has a label";
}

}  // namespace
}  // namespace perfpipe
