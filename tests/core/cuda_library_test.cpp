#include "core/cuda_library.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

struct NoSuchTable {
  static constexpr const char* entry = "perfpipe_no_such_entry";
};

// In a build with CUDA the library is there and opens without a GPU; in one without, the remedy is named.
TEST(CudaLibrary, IsOpenOrSaysWhatToDo) {
#ifdef PERFPIPE_TEST_CUDA
  EXPECT_EQ(cuda_library_problem(), "");
  EXPECT_NE(cuda_library_entry("perfpipe_cuda_devices"), nullptr);
#else
  EXPECT_NE(cuda_library_problem().find("tools/quickstart --cuda"), std::string::npos) << cuda_library_problem();
#endif
}

TEST(CudaLibrary, AnEntryThatIsNotThereIsAnErrorOfTheDevice) {
  try {
    cuda_table<NoSuchTable>();
    FAIL() << "no exception";
  } catch (const DeviceError& error) {
    EXPECT_EQ(error.code(), ExitCode::device);
    const std::string expected = cuda_library_problem().empty() ? "perfpipe_no_such_entry" : cuda_library_problem();
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace perfpipe
