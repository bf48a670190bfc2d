#include "core/error.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(ExitCodes, AreWhatIsPromised) {
  EXPECT_EQ(static_cast<int>(ExitCode::done), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::config), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::input), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::io), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::device), 5);
  EXPECT_EQ(static_cast<int>(ExitCode::partial), 6);
  EXPECT_EQ(static_cast<int>(ExitCode::resumable), 75);
}

TEST(Errors, CarryTheirExitCode) {
  EXPECT_EQ(ConfigError("x").code(), ExitCode::config);
  EXPECT_EQ(InputError("x").code(), ExitCode::input);
  EXPECT_EQ(IoError("x").code(), ExitCode::io);
  EXPECT_EQ(DeviceError("x").code(), ExitCode::device);
  EXPECT_STREQ(InputError("file: field").what(), "file: field");
}

TEST(Findings, NoneIsNoError) {
  const Findings findings;
  EXPECT_TRUE(findings.empty());
  EXPECT_NO_THROW(findings.throw_if_any(ExitCode::input));
}

TEST(Findings, AreThrownTogetherOneALine) {
  Findings first, second;
  first.add("a.nii", "field TR = 0");
  second.add("b.nii", "not a file");
  first.merge(second);
  try {
    first.throw_if_any(ExitCode::input);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_STREQ(error.what(), "a.nii: field TR = 0\nb.nii: not a file");
  }
}

}  // namespace
}  // namespace perfpipe
