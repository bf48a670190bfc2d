#include "formats/table.hpp"

#include "tests/formats/nifti_builder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::optional<AifTable> read(const TempFolder& folder, const std::string& text, Findings& findings) {
  return read_aif_table(folder.write("a_aif.tsv", text), findings);
}

void expect_refused(const std::string& text, std::vector<std::string> pieces) {
  const TempFolder folder;
  Findings findings;
  EXPECT_FALSE(read(folder, text, findings)) << text;
  pieces.push_back("a_aif.tsv: ");
  EXPECT_TRUE(has_line(findings.lines(), pieces)) << text << all_lines(findings.lines());
}

TEST(AifTable, ReadsItsColumnsWhereverTheyStand) {
  const TempFolder folder;
  Findings findings;
  const auto table =
      read(folder,
           "\xEF\xBB\xBF# made by hand\r\nvalue\tvoxel\ttime_s\r\n0\tx\t0\r\n\r\n# a remark\r\n-0.5\ty\t1.5\r\n"
           "+2.5e1\tz\t3\r\n",
           findings);
  ASSERT_TRUE(table) << all_lines(findings.lines());
  EXPECT_EQ(table->times, (std::vector<double>{0.0, 1.5, 3.0}));
  EXPECT_EQ(table->values, (std::vector<double>{0.0, -0.5, 25.0}));
}

TEST(AifTable, NeedsBothColumnsOnce) {
  expect_refused("time\tvalue\n0\t1\n", {"no column \"time_s\"", "tab-separated"});
  expect_refused("time_s,value\n0,1\n", {"no column \"time_s\" in the header line \"time_s,value\""});
  expect_refused("time_s\tvalue\tvalue\n0\t1\t1\n", {"more than one column \"value\""});
  expect_refused("0\t1\n1\t2\n", {"no column \"time_s\""});
}

TEST(AifTable, NumbersMustBeFiniteAndTimesIncrease) {
  expect_refused("time_s\tvalue\n0\t1\n1\tnan\n", {"line 3", "value = nan", "finite"});
  expect_refused("time_s\tvalue\n0\t1\ninf\t1\n", {"line 3", "time_s = inf"});
  expect_refused("time_s\tvalue\n0\t1\n1\t1,5\n", {"line 3", "value = 1,5"});
  expect_refused("time_s\tvalue\n0\t1\n1\t1e999\n", {"line 3", "value = 1e999"});
  expect_refused("time_s\tvalue\n0\t1\n1\n", {"line 3", "value = (missing)"});
  expect_refused("time_s\tvalue\n0\t1\n0\t2\n", {"line 3", "time_s = 0 follows 0", "strictly increasing"});
}

TEST(AifTable, NeedsRows) {
  expect_refused("", {"holds 0 rows", "at least 2"});
  expect_refused("time_s\tvalue\n0\t1\n", {"holds 1 rows", "at least 2"});
  const TempFolder folder;
  Findings findings;
  EXPECT_FALSE(read_aif_table(folder / "missing.tsv", findings));
  EXPECT_TRUE(has_line(findings.lines(), {"missing.tsv", "No such file"}));
}

TEST(AifTable, NeedsAPositiveValue) {
  TempFolder folder;
  Findings findings;
  EXPECT_FALSE(read_aif_table(folder.write("a.tsv", "time_s\tvalue\n0\t0\n1\t-2\n"), findings));
  EXPECT_TRUE(has_line(findings.lines(), {"a.tsv", "none of the 2 is above 0"})) << all_lines(findings.lines());
}

TEST(AifTable, MustCoverTheSeriesToWithinOneRepetitionTime) {
  const std::vector<double> frames{0, 2, 4, 6, 8, 10};
  const auto problem = [&](double first, double last) {
    Findings findings;
    check_aif_coverage({{first, last}, {0, 0}}, "a_aif.tsv", frames, 2.0, findings);
    return findings.lines();
  };
  EXPECT_TRUE(problem(0, 10).empty());
  EXPECT_TRUE(problem(2, 8).empty());
  EXPECT_TRUE(problem(-5, 99).empty());
  EXPECT_TRUE(has_line(problem(2.1, 10), {"a_aif.tsv", "from 2.1 to 10 s", "from 0 to 10 s", "(2 s)"}));
  EXPECT_TRUE(has_line(problem(0, 7.9), {"from 0 to 7.9 s"}));
}

TEST(Tsv, NumbersReadBackTheSame) {
  const TempFolder folder;
  const std::vector<double> times{0.0, 0.1, 1.0 / 3.0}, values{-1e-300, 12345678.9, 3.0};
  const std::string text = format_tsv({"time_s", "value"}, {times, values});
  EXPECT_EQ(text.substr(0, 13), "time_s\tvalue\n");
  Findings findings;
  const auto table = read(folder, text, findings);
  ASSERT_TRUE(table) << all_lines(findings.lines());
  EXPECT_EQ(table->times, times);
  EXPECT_EQ(table->values, values);
}

TEST(Tsv, RefusesColumnsOfDifferentLength) {
  EXPECT_THROW(format_tsv({"a", "b"}, {{1.0}, {1.0, 2.0}}), std::invalid_argument);
  EXPECT_THROW(format_tsv({"a"}, {{1.0}, {1.0}}), std::invalid_argument);
}

}  // namespace
}  // namespace perfpipe
