#include "core/config.hpp"

#include "tests/temp_folder.hpp"

#include <cmath>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

/// The message with which a text is refused, or "accepted".
std::string refusal(const std::string& text) {
  try {
    parse_config(text, "job.yaml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

std::string nested(int levels) {
  return std::string(static_cast<std::size_t>(levels), '[') + std::string(static_cast<std::size_t>(levels), ']');
}

TEST(ParseConfig, RemembersWhereEachValueStands) {
  const auto root = parse_config("output: runs/x\nstages:\n  - import\n  - aif: {method: file}\n", "job.yaml");
  ASSERT_EQ(root.kind, ConfigNode::Kind::map);
  EXPECT_EQ(root.find("output")->where, "job.yaml:1:9");
  EXPECT_EQ(root.find("output")->path, "output");
  const auto& aif = root.find("stages")->items.at(1);
  EXPECT_EQ(aif.path, "stages[1]");
  const ConfigNode* const method = aif.entries.at(0).second.find("method");
  EXPECT_EQ(method->where, "job.yaml:4:19");
  EXPECT_EQ(method->path, "stages[1].aif.method");
  EXPECT_EQ(method->shown(), "stages[1].aif.method = file");
  EXPECT_EQ(root.find("nothing"), nullptr);
}

TEST(ParseConfig, AMissingValueHasThePlaceOfItsKey) {
  const auto root = parse_config("a: 1\nb:\n", "job.yaml");
  EXPECT_EQ(root.find("b")->kind, ConfigNode::Kind::null);
  EXPECT_EQ(root.find("b")->where, "job.yaml:2:1");
}

TEST(ParseConfig, QuotedTextIsTextAndTheNullsAreNull) {
  const auto root = parse_config("a: '70'\nb: ~\nc: null\nd: \"\"\ne: \"null\"\n", "job.yaml");
  EXPECT_TRUE(root.find("a")->quoted);
  EXPECT_EQ(root.find("b")->kind, ConfigNode::Kind::null);
  EXPECT_EQ(root.find("c")->kind, ConfigNode::Kind::null);
  EXPECT_EQ(root.find("d")->kind, ConfigNode::Kind::scalar);
  EXPECT_EQ(root.find("e")->kind, ConfigNode::Kind::scalar);
}

TEST(ParseConfig, AcceptsAByteOrderMarkAndWindowsLineEnds) {
  EXPECT_NE(parse_config("\xef\xbb\xbfoutput: x\n", "job.yaml").find("output"), nullptr);
  EXPECT_EQ(parse_config("a: 1\r\nb: 2\r\n", "job.yaml").find("a")->text, "1");
  EXPECT_EQ(refusal("---\na: 1\n...\n"), "accepted") << "one document with its markers is one document";
  EXPECT_EQ(refusal("a: µ\n"), "accepted");
}

TEST(ParseConfig, AnEmptyTextIsNull) {
  EXPECT_EQ(parse_config("# nothing\n", "job.yaml").kind, ConfigNode::Kind::null);
  EXPECT_EQ(parse_config("", "job.yaml").where, "job.yaml:1:1");
}

TEST(ParseConfig, RefusesWhatAJobFileMayNotHold) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: 1\nb: 2\na: 3\n",
       "job.yaml:3:1: the key 'a' stands twice in this map; remove one (the first is at "
       "job.yaml:1:4)"},
      {"s:\n  - aif: {x: 1, x: 2}\n", "job.yaml:2:17: the key 'x' stands twice"},
      {"a: !!int 3\n", "job.yaml:1:4: the tag 'tag:yaml.org,2002:int' is not allowed; write the plain value"},
      {"a: 1\nb: !mine [1]\n", "job.yaml:2:4: the tag '!mine' is not allowed"},
      {"!!map {a: 1}\n", "job.yaml:1:1: the tag"},
      {"a: &x {b: 1}\nc:\n  <<: *x\n", "job.yaml:3:3: merge keys ('<<') are not allowed; repeat the values"},
      {"a: 1\n---\nb: 2\n", "job.yaml:2:1: a second YAML document starts here; a job file holds one"},
      {"a: 1\n---\n", "job.yaml:2:1: a second YAML document"},
      {"a:\n\tb: 1\n", "job.yaml:2:1: a tab is used as indentation; use spaces"},
      {"a:\n  \tb: 1\n", "job.yaml:2:3: a tab is used as indentation"},
      {"a: [1, 2\n", "not valid YAML: end of sequence flow not found"},
      {"a: 1\n b: 2\n", "job.yaml:2:3: not valid YAML"},
      {"a: *x\n", "job.yaml:1:4: not valid YAML: the referenced anchor is not defined"},
      {"a: &x [*x]\n", "job.yaml:1:8: this alias names a value that is not complete yet"},
      {"? [a]\n: 1\n", "job.yaml:1:3: a key must be a plain word"},
      {": 1\n", "job.yaml:1:1: a key must be a plain word"},
      {"a: 1\nb: \xe9\n", "job.yaml:2:1: the line holds bytes that are not UTF-8"},
  };
  for (const auto& [text, message] : cases) EXPECT_NE(refusal(text).find(message), std::string::npos) << refusal(text);
  EXPECT_NE(refusal(std::string("a: \0b", 5)).find("holds a zero byte"), std::string::npos);
}

TEST(ParseConfig, TabsThatAreNoIndentationAreFine) {
  EXPECT_EQ(parse_config("a:\tb\n", "job.yaml").find("a")->text, "b");
  EXPECT_EQ(refusal("a: b\t# comment\n"), "accepted");
}

TEST(ParseConfig, RefusesMoreThan32Levels) {
  EXPECT_EQ(refusal("a: " + nested(31)), "accepted") << "the map is the first level";
  EXPECT_NE(refusal("a: " + nested(32)).find("job.yaml:1:35: nested deeper than 32 levels"), std::string::npos);
  EXPECT_NE(refusal("a: &a " + nested(20) + "\nb: {c: " + nested(10) + "}\nd: [[[[[[[[[[[[*a]]]]]]]]]]]]\n")
                .find("nested deeper than 32 levels"),
            std::string::npos)
      << "levels that come through an alias count";
  EXPECT_NE(refusal(std::string(1 << 20, '[')), "accepted") << "an unclosed megabyte of brackets does not overflow";
}

TEST(ParseConfig, RefusesMoreThanAMebibyte) {
  const std::string full = "a: " + std::string((1 << 20) - 4, 'x') + "\n";
  EXPECT_EQ(refusal(full), "accepted");
  EXPECT_NE(refusal(full + "#").find("1048577 bytes; at most 1048576 are allowed"), std::string::npos);
}

TEST(ParseConfig, RefusesAliasesThatExpandWithoutEnd) {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'k'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) bomb += std::string("*") + static_cast<char>(c - 1) + ", ";
    bomb += "]\n";
  }
  EXPECT_NE(refusal(bomb).find("the aliases expand to more than a job file may hold"), std::string::npos);
  const auto plain = parse_config("a: &x [1, 2]\nb: *x\n", "job.yaml");
  ASSERT_EQ(plain.find("b")->items.size(), 2u) << "a plain alias is its value";
  EXPECT_EQ(plain.find("b")->items[1].path, "b[1]");
}

TEST(ParseConfig, TakesLittleTimeForManyKeys) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  // 0.2 s; a search through the keys for each key took 7 s. CTest's limit would catch it, this says why.
  EXPECT_EQ(parse_config(text, "job.yaml").entries.size(), 50000u);
}

TEST(ReadConfigText, ReadsAFileAndSaysWhatIsWrongWithOthers) {
  const TempFolder folder;
  EXPECT_EQ(read_config_text(folder.write("job.yaml", "output: x\n").string()), "output: x\n");
  EXPECT_EQ(read_config_text(folder.write("empty.yaml", "").string()), "");
  std::filesystem::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  folder.write("big.yaml", std::string((1 << 20) + 1, '#'));
  const std::pair<const char*, const char*> cases[] = {
      {"missing.yaml", ": the job file does not exist"},
      {"folder", ": the job file is not a regular file"},
      {"fifo", ": the job file is not a regular file"},
      {"big.yaml", ": the job file has 1048577 bytes; at most 1048576 are allowed"}};
  for (const auto& [name, message] : cases) {
    const auto path = (folder / name).string();
    try {
      read_config_text(path);
      FAIL() << name;
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.what(), path + message);
    }
  }
}

ConfigNode value(const std::string& text) { return *parse_config("v: " + text, "job.yaml").find("v"); }

TEST(ReadNumber, TakesDecimalNumbersInTheirRange) {
  Findings findings;
  const Range range{-10.0, 2000.0};
  EXPECT_EQ(read_number(value("1"), range, findings), 1.0);
  EXPECT_EQ(read_number(value("-2.5"), range, findings), -2.5);
  EXPECT_EQ(read_number(value("+3"), range, findings), 3.0);
  EXPECT_EQ(read_number(value("1e3"), range, findings), 1000.0);
  EXPECT_EQ(read_number(value(".5"), range, findings), 0.5);
  EXPECT_TRUE(findings.empty());
}

TEST(ReadNumber, RefusesEverythingElse) {
  for (const char* text :
       {"nan", ".nan", "NaN", "inf", ".inf", "-.inf", "1e999",  "-1e999", "0x10",   "1,5", "1_000", "70 s",
        "--5", "+-5",  "1e",  "+",   "true", "'70'",  "\"70\"", "[1]",    "{a: 1}", "~",   "''",    "2001"}) {
    Findings findings;
    EXPECT_FALSE(read_number(value(text), {-10.0, 2000.0}, findings)) << text;
    ASSERT_EQ(findings.lines().size(), 1u) << text;
    EXPECT_NE(findings.lines()[0].find("expected a number in [-10, 2000]"), std::string::npos) << findings.lines()[0];
  }
}

TEST(ReadNumber, NamesPlaceValueAndRange) {
  Findings findings;
  const auto root = parse_config("stages:\n  - bsvd: {threshold: 1.4}\n", "cv.yaml");
  read_number(*root.find("stages")->items[0].entries[0].second.find("threshold"), {0.0, 1.0, true, true}, findings);
  EXPECT_EQ(findings.lines().at(0), "cv.yaml:2:23: stages[0].bsvd.threshold = 1.4: expected a number in (0, 1)");
}

TEST(ReadInteger, RefusesFractionsAndWhatDoesNotFit) {
  const Range seed{0, 9.3e18};
  Findings findings;
  EXPECT_EQ(read_integer(value("70"), seed, findings), 70);
  EXPECT_EQ(read_integer(value("9223372036854775807"), seed, findings), INT64_MAX);
  EXPECT_TRUE(findings.empty());
  for (const char* text : {"70.5", "70.0", "7e1", "-1", "9223372036854775808", "'70'", "nan", "seventy"}) {
    Findings refused;
    EXPECT_FALSE(read_integer(value(text), seed, refused)) << text;
    ASSERT_EQ(refused.lines().size(), 1u);
    EXPECT_NE(refused.lines()[0].find("expected a whole number in [0, 2^63-1]"), std::string::npos);
  }
}

TEST(ReadFlag, TakesTrueAndFalseAlone) {
  Findings findings;
  EXPECT_EQ(read_flag(value("true"), findings), true);
  EXPECT_EQ(read_flag(value("false"), findings), false);
  EXPECT_TRUE(findings.empty());
  for (const char* text : {"yes", "True", "1", "'true'", "~"}) EXPECT_FALSE(read_flag(value(text), findings)) << text;
  EXPECT_EQ(findings.lines().size(), 5u);
}

TEST(ReadText, RefusesNothingAndStructures) {
  Findings findings;
  EXPECT_EQ(read_text(value("a b"), findings), "a b");
  EXPECT_EQ(read_text(value("70"), findings), "70");
  EXPECT_TRUE(findings.empty());
  for (const char* text : {"~", "''", "[a]", "{a: 1}"}) EXPECT_FALSE(read_text(value(text), findings)) << text;
  EXPECT_EQ(findings.lines().size(), 4u);
  EXPECT_EQ(findings.lines()[3], "job.yaml:1:4: v = a map of 1 keys: expected a text that is not empty");
}

TEST(ReadChoice, ListsTheChoicesAndTheNearest) {
  Findings findings;
  EXPECT_EQ(read_choice(value("file"), {"mouridsen", "file"}, findings), "file");
  EXPECT_FALSE(read_choice(value("mouridson"), {"mouridsen", "file"}, findings));
  EXPECT_FALSE(read_choice(value("peruzzo"), {"mouridsen", "file"}, findings));
  EXPECT_EQ(findings.lines().at(0),
            "job.yaml:1:4: v = mouridson: expected one of: mouridsen, file (did you mean 'mouridsen'?)");
  EXPECT_EQ(findings.lines().at(1), "job.yaml:1:4: v = peruzzo: expected one of: mouridsen, file");
}

TEST(UnknownKeys, EachIsNamedWithItsNearestAndTheAllowedSet) {
  Findings findings;
  const auto root = parse_config("thresold: 1\nmethod: x\nzzzzzz: 2\n", "job.yaml");
  reject_unknown_keys(root, {"method", "threshold"}, findings);
  ASSERT_EQ(findings.lines().size(), 2u) << "all of them, not the first alone";
  EXPECT_EQ(findings.lines()[0],
            "job.yaml:1:11: unknown key 'thresold' (did you mean 'threshold'?); allowed: method, threshold");
  EXPECT_EQ(findings.lines()[1], "job.yaml:3:9: unknown key 'zzzzzz'; allowed: method, threshold");
}

TEST(Nearest, OffersTyposOnly) {
  const std::vector<std::string> words{"cbf", "cbv", "training", "threshold"};
  EXPECT_EQ(nearest("trainign", words), "training");
  EXPECT_EQ(nearest("cbw", words), "cbf") << "the first of equals";
  EXPECT_EQ(nearest("perfusion", words), std::nullopt);
  EXPECT_EQ(nearest("anything", {}), std::nullopt);
}

TEST(Range, SaysItsBoundsAndWhetherTheyBelong) {
  EXPECT_EQ((Range{0, 1, true, true}.text()), "(0, 1)");
  EXPECT_EQ((Range{0.1, 10}.text()), "[0.1, 10]");
  EXPECT_EQ((Range{0, INFINITY, true}.text()), "above 0");
  EXPECT_EQ((Range{1, INFINITY}.text()), "at least 1");
  EXPECT_FALSE((Range{0, 1, true}.contains(0.0)));
  EXPECT_TRUE((Range{0, 1, true}.contains(1.0)));
  EXPECT_FALSE((Range{0, 1, false, true}.contains(1.0)));
  EXPECT_FALSE((Range{0, 1}.contains(NAN)));
}

}  // namespace
}  // namespace perfpipe
