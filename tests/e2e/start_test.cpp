// What a start of the program brings with it.
#include "tests/e2e/job_files.hpp"

namespace perfpipe {
namespace {

/// All libraries that the loader looked for, as it tells them.
std::string libraries_of(const TempFolder& folder, std::vector<std::string> arguments) {
  auto options = options_in(folder);
  options.environment["LD_DEBUG"] = "libs";
  const auto result = run_command(perfpipe_words(std::move(arguments)), options);
  EXPECT_TRUE(ended(result, 0));
  EXPECT_NE(result.err.find("libhdf5"), std::string::npos);
  return result.err;
}

// LibTorch and the two hundred libraries behind it take half a second.
TEST(Start, LibTorchIsLoadedWhereItIsNeededAlone) {
  const TempFolder folder;
  write_small_cohort(folder, 1);
  folder.write("job.yaml", maps_job);
  EXPECT_EQ(libraries_of(folder, {"--help"}).find("libtorch"), std::string::npos);
  EXPECT_EQ(libraries_of(folder, {"stages"}).find("libtorch"), std::string::npos);
  EXPECT_EQ(libraries_of(folder, {"job.yaml"}).find("libtorch"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
