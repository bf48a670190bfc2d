#include "pipeline/reuse.hpp"

#include "core/hash.hpp"
#include "core/store.hpp"
#include "tests/temp_folder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// A plan of three tasks of which the first two have left artifacts, the second one a file beside the store.
class Reuse : public testing::Test {
 protected:
  Reuse() {
    for (const char* name : {"sub-01", "sub-02", "sub-03"}) {
      PlannedTask task;
      task.info.stage = "aif";
      task.info.name = name;
      task.made_from = {{"options", {{"method", "mouridsen"}}}};
      task.key = "key of " + std::string(name);
      plan_.push_back(task);
    }
    folder_.write("tables/a.csv", "x\n");
    write(0, {});
    write(1, {"tables/a.csv", hash128("x\n")});
  }
  void write(std::size_t i, const PublishedFile& published) {
    ArtifactWriter writer(path(i), plan_[i].key, plan_[i].made_from);
    if (!published.path.empty()) writer.add_published(published);
    writer.commit();
  }
  std::filesystem::path path(std::size_t i) const { return artifact_path(folder_.path(), plan_[i].info); }
  std::vector<ReuseVerdict> judge(int threads = 2) const { return judge_reuse(plan_, folder_.path(), threads); }

  TempFolder folder_;
  std::vector<PlannedTask> plan_;
};

TEST_F(Reuse, TakesWhatIsThereAndWhole) {
  for (int threads : {1, 4}) {
    const auto verdicts = judge(threads);
    ASSERT_EQ(verdicts.size(), 3u);
    EXPECT_TRUE(verdicts[0].reuse);
    EXPECT_TRUE(verdicts[1].reuse);
    EXPECT_EQ(verdicts[1].reason, "nothing it depends on has changed");
    EXPECT_FALSE(verdicts[2].reuse);
    EXPECT_FALSE(verdicts[2].damaged);
    EXPECT_EQ(verdicts[2].reason, "it has not run yet");
  }
}

TEST_F(Reuse, SaysWhatHasChangedSince) {
  plan_[0].key = "another key";
  plan_[0].made_from["options"]["method"] = "file";
  const auto verdict = judge()[0];
  EXPECT_FALSE(verdict.reuse);
  EXPECT_FALSE(verdict.damaged);
  EXPECT_EQ(verdict.reason, R"(options: method was "mouridsen", is "file")");
}

TEST_F(Reuse, ADamagedArtifactIsMadeAnew) {
  const auto bytes = file_bytes(path(0));
  std::string flipped = bytes;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 4);
  for (const auto& damaged :
       {flipped, bytes.substr(0, bytes.size() - 10), std::string("not an artifact"), std::string()}) {
    folder_.write("store/aif/sub-01.h5", damaged);
    const auto verdict = judge()[0];
    EXPECT_FALSE(verdict.reuse);
    EXPECT_TRUE(verdict.damaged);
    EXPECT_NE(verdict.reason.find("damaged"), std::string::npos) << verdict.reason;
  }
}

TEST_F(Reuse, ADamagedArtifactOfAnotherKeyDoesNotStopTheJudge) {
  plan_[0].key = "another key";
  std::string bytes = file_bytes(path(0));
  bytes.replace(1024, 8, "........");
  folder_.write("store/aif/sub-01.h5", bytes);
  EXPECT_FALSE(judge()[0].reuse);
}

TEST_F(Reuse, AFileThatWasPublishedCounts) {
  folder_.write("tables/a.csv", "changed\n");
  EXPECT_EQ(judge()[1].reason, "its file tables/a.csv was changed");
  EXPECT_FALSE(judge()[1].reuse);
  std::filesystem::remove(folder_ / "tables/a.csv");
  EXPECT_EQ(judge()[1].reason, "its file tables/a.csv is missing");
  EXPECT_FALSE(judge()[1].damaged) << "a user may delete an output; it is no damage to warn of";
}

}  // namespace
}  // namespace perfpipe
