#include "stages/phantom_grids.hpp"

#include "stages/phantom_ct.hpp"

#include <fmt/format.h>

namespace perfpipe {
namespace {

constexpr std::array kudo_mtt{24.0, 12.0, 8.0, 6.0, 4.8, 4.0, 24.0 / 7.0};  // s
constexpr std::array kudo_delay{0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0};         // s
constexpr std::array kudo_residue{Residue::exponential, Residue::linear, Residue::box};
constexpr int kudo_cbv = 5;  // 1 to this, ml/100g

constexpr std::array study_residue{Residue::exponential, Residue::linear, Residue::box, Residue::gamma};
constexpr std::array study_delay{0.0, 2.0, 4.0, 7.0, 10.0};  // s; the clinical threshold, 6 s, lies between two
constexpr std::array study_dispersion{0.0, 1.0, 3.0};        // s
constexpr std::array study_snr{20.0, 50.0, 100.0};

struct StudyTissue {
  const char* name;
  double cbf, cbv;
};
constexpr std::array study_tissue{StudyTissue{"grey", grey_matter.cbf[0], grey_matter.cbv[0]},
                                  StudyTissue{"white", white_matter.cbf[0], white_matter.cbv[0]},
                                  StudyTissue{"penumbra", grey_matter.cbf[1], grey_matter.cbv[1]}};

template <class Array>
constexpr std::int64_t length(const Array& array) {
  return static_cast<std::int64_t>(array.size());
}

/// What fills a tile, and how its label is described. CBF 0: nothing.
struct Tile {
  Kinetics kinetics = {};
  float snr = 0.0f;
  Tissue tissue = Tissue::air;
  std::vector<std::string> levels = {};
};

/// A head of tiles; `tile_at(column, row, slice)`.
template <class TileAt>
Head draw_tiles(const PhantomOptions& o, const std::array<std::int64_t, 3>& extent,
                const std::vector<std::string>& factors, TileAt&& tile_at) {
  const auto [nx, ny, nz] = extent;
  const auto voxels = static_cast<std::size_t>(nx * ny * nz);
  const bool ct = o.modality == "ct";
  Head head;
  head.tissue.assign(voxels, Tissue::air);
  head.baseline.assign(voxels, ct ? -1000.0f : 0.0f);
  head.kinetics.assign(voxels, Kinetics{});
  head.blood.assign(voxels, 0.0f);
  head.lesion.assign(voxels, 0);
  head.snr.assign(voxels, 0.0f);
  head.label.assign(voxels, 0);
  head.labels.factors = factors;
  int labels = 0;
  for (std::int64_t z = 0; z < nz; ++z)
    for (std::int64_t row = 0; row < ny / o.tile; ++row)
      for (std::int64_t column = 0; column < nx / o.tile; ++column) {
        const Tile tile = tile_at(column, row, z);
        if (tile.tissue == Tissue::air) continue;
        const bool blood = tile.tissue == Tissue::artery || tile.tissue == Tissue::vein;
        if (!blood) head.labels.levels[++labels] = tile.levels;
        for (std::int64_t y = row * o.tile; y < (row + 1) * o.tile; ++y)
          for (std::int64_t x = column * o.tile; x < (column + 1) * o.tile; ++x) {
            const auto i = static_cast<std::size_t>((z * ny + y) * nx + x);
            head.tissue[i] = tile.tissue;
            head.baseline[i] = static_cast<float>(!ct ? 1.0 : blood ? ct_blood : ct_grey_matter);
            head.kinetics[i] = tile.kinetics;
            head.blood[i] = blood ? 1.0f : 0.0f;
            head.snr[i] = tile.snr;
            head.label[i] = blood ? 0.0f : static_cast<float>(labels);
          }
      }
  return head;
}

std::string shown(double x) { return fmt::format("{:.5g}", x); }

}  // namespace

std::array<std::int64_t, 3> kudo_extent(const PhantomOptions& o) {
  return {length(kudo_mtt) * o.tile, (length(kudo_delay) + 1) * o.tile, length(kudo_residue) * kudo_cbv};
}

std::array<std::int64_t, 3> study_extent(const PhantomOptions& o) {
  return {length(study_residue) * length(study_tissue) * o.tile,
          length(study_delay) * length(study_dispersion) * o.tile, length(study_snr)};
}

Head draw_kudo_grid(const PhantomOptions& o) {
  return draw_tiles(o, kudo_extent(o), {"residue", "cbv", "mtt", "delay"},
                    [](std::int64_t column, std::int64_t row, std::int64_t slice) {
                      if (row == length(kudo_delay))
                        return Tile{.tissue = column < 3 ? Tissue::artery : column > 3 ? Tissue::vein : Tissue::air};
                      Kinetics k;
                      const double cbv = 1.0 + static_cast<double>(slice % kudo_cbv);
                      k.residue = kudo_residue[static_cast<std::size_t>(slice / kudo_cbv)];
                      k.mtt = kudo_mtt[static_cast<std::size_t>(column)];
                      k.delay = kudo_delay[static_cast<std::size_t>(row)];
                      k.cbf = 60.0 * cbv / k.mtt;
                      return Tile{.kinetics = k,
                                  .tissue = Tissue::grey,
                                  .levels = {residue_name(k.residue), shown(cbv), shown(k.mtt), shown(k.delay)}};
                    });
}

Head draw_study_grid(const PhantomOptions& o) {
  return draw_tiles(
      o, study_extent(o), {"snr", "residue", "tissue", "delay", "dispersion"},
      [](std::int64_t column, std::int64_t row, std::int64_t slice) {
        const auto& tissue = study_tissue[static_cast<std::size_t>(column % length(study_tissue))];
        const double snr = study_snr[static_cast<std::size_t>(slice)];
        Kinetics k;
        k.residue = study_residue[static_cast<std::size_t>(column / length(study_tissue))];
        k.cbf = tissue.cbf;
        k.mtt = 60.0 * tissue.cbv / tissue.cbf;
        k.delay = study_delay[static_cast<std::size_t>(row % length(study_delay))];
        k.dispersion = study_dispersion[static_cast<std::size_t>(row / length(study_delay))];
        return Tile{.kinetics = k,
                    .snr = static_cast<float>(snr),
                    .tissue = Tissue::grey,
                    .levels = {shown(snr), residue_name(k.residue), tissue.name, shown(k.delay), shown(k.dispersion)}};
      });
}

}  // namespace perfpipe
