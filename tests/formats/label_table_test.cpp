#include "formats/label_table.hpp"

#include "tests/temp_folder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

class LabelTables : public testing::Test {
 protected:
  LabelTable read(const std::string& text) {
    findings_ = {};
    return read_label_table(folder_.write("a_dseg.tsv", text), findings_);
  }
  TempFolder folder_;
  Findings findings_;
};

TEST_F(LabelTables, AreReadAsTheyAreWritten) {
  const LabelTable table{{"snr", "residue"}, {{1, {"20", "box"}}, {7, {"50", "gamma"}}}};
  const auto text = format_label_table(table);
  EXPECT_EQ(text, "index\tname\tsnr\tresidue\n1\t20_box\t20\tbox\n7\t50_gamma\t50\tgamma\n");
  const auto back = read(text);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(back.factors, table.factors);
  EXPECT_EQ(back.levels, table.levels);
}

TEST_F(LabelTables, OfOthersMayHaveTheirColumnsInAnyOrder) {
  const auto table = read("name\tlobe\tindex\r\nx\tfrontal\t3\r\n\r\n");
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(table.factors, std::vector<std::string>{"lobe"});
  EXPECT_EQ(table.levels.at(3), std::vector<std::string>{"frontal"});
}

TEST_F(LabelTables, ThatAreWrongAreFindingsWithTheirLine) {
  for (const char* header : {"", "name\tlobe\n", "index\tname\n1\ta\n"}) {
    read(header);
    EXPECT_FALSE(findings_.empty()) << header;
  }
  for (const char* row : {"0\ta\tb", "x\ta\tb", "1\ta", "1\ta\tb\tc", "1.5\ta\tb", "5\ta\tb"}) {
    read("index\tname\tlobe\n5\tgood\tgood\n" + std::string(row) + "\n");
    ASSERT_EQ(findings_.lines().size(), 1u) << row;
    EXPECT_NE(findings_.lines()[0].find("line 3"), std::string::npos) << findings_.lines()[0];
  }
}

}  // namespace
}  // namespace perfpipe
