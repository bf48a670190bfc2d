// `perfpipe doctor`, alone and on two ranks.
#include "tests/e2e/job_files.hpp"

namespace perfpipe {
namespace {

namespace fs = std::filesystem;

bool has(const std::string& text, const std::vector<std::string>& pieces) { return has_line(lines_of(text), pieces); }

TEST(Doctor, NamesEverythingOnOneRank) {
  const TempFolder folder;
  const auto result = run_perfpipe(folder, {"doctor"});
  EXPECT_TRUE(ended(result, 0));
  for (const char* name : {"perfpipe", "compiler", "C library", "MPI", "HDF5", "ITK", "LibTorch", "BLAS", "processor",
                           "kernels", "computing on"})
    EXPECT_TRUE(has(result.out, {name})) << name << "\n" << result.out;
  EXPECT_TRUE(has(result.out, {"perfpipe", PERFPIPE_TEST_VERSION})) << result.out;
  EXPECT_TRUE(has(result.out, {"MPI", "Open MPI"})) << result.out;
  EXPECT_TRUE(has(result.out, {"MPI threads", "not started"})) << result.out;
  EXPECT_TRUE(has(result.out, {"GiB free in", folder.path().string()})) << result.out;
  EXPECT_TRUE(has(result.out, {"rank 0: cores "})) << result.out;
  EXPECT_TRUE(fs::is_empty(folder.path())) << "it writes nothing";
}

TEST(Doctor, SaysWhichLevelOfThreadsMpiHas) {
  const TempFolder folder;
  const auto result = run_ranks(folder, 2, {"doctor", "--output", "not/there/yet"});
  EXPECT_TRUE(ended(result, 0));
  EXPECT_TRUE(has(result.out, {"MPI threads", "MPI_THREAD_MULTIPLE"})) << result.out;
  EXPECT_TRUE(has(result.out, {"node ", "2 ranks"})) << result.out;
  EXPECT_TRUE(has(result.out, {"rank 1: cores "})) << result.out;
  EXPECT_FALSE(has(result.out, {"differs"})) << result.out;
  EXPECT_FALSE(fs::exists(folder / "not"));
}

// As on a cluster whose nodes differ: on another processor OpenBLAS would choose other kernels, and here it is told to.
TEST(Doctor, WarnsWhereRanksDiffer) {
  const TempFolder folder;
  const auto kernels = [](const std::string& processor) { return "OPENBLAS_CORETYPE=" + processor; };
  const auto result =
      run_command({PERFPIPE_MPIRUN, "-np", "1", "env", kernels("Nehalem"), perfpipe_executable(), "doctor", ":", "-np",
                   "1", "env", kernels("Prescott"), perfpipe_executable(), "doctor"},
                  options_in(folder));
  EXPECT_TRUE(ended(result, 0));
  EXPECT_TRUE(has(result.out, {"warning: BLAS differs between ranks", "Nehalem on rank 0", "Prescott on rank 1"}))
      << result.out;
  EXPECT_FALSE(has(result.out, {"warning: HDF5"})) << result.out;
}

TEST(Doctor, WarnsWhereAllRanksAreOnOneCore) {
  const TempFolder folder;
  const auto result = run_command(
      {"taskset", "--cpu-list", "0", PERFPIPE_MPIRUN, "-np", "2", perfpipe_executable(), "doctor"}, options_in(folder));
  EXPECT_TRUE(ended(result, 0));
  EXPECT_TRUE(has(result.out, {"warning:", "2 ranks", "core"})) << result.out;
}

TEST(Doctor, ARefusedFolderIsAnErrorOfIo) {
  const TempFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
  auto options = options_in(folder);
  options.as_nobody = true;
  options.folder = "/";
  const auto result = run_command(perfpipe_words({"doctor", "--output", (folder / "out").string()}), options);
  EXPECT_TRUE(ended(result, ::geteuid() == 0 ? 4 : 0));
  if (::geteuid() == 0) {
    EXPECT_TRUE(has(result.out, {"error:", folder.path().string(), "not writable"})) << result.out;
  }
}

}  // namespace
}  // namespace perfpipe
