#include "stages/html.hpp"

#include "core/error.hpp"
#include "stages/plots.hpp"
#include "tests/stages/html_check.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST(HtmlEscape, NothingOfATextCanBecomeMarkup) {
  EXPECT_EQ(html_escape("<script>\"a\" & 'b'"), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;");
  EXPECT_EQ(html_escape("Δt = 1 s\n"), "Δt = 1 s\n");
  EXPECT_EQ(html_escape(std::string("a\0\x1b", 3)), "a\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(ShownNumber, KeepsSignificantDigits) {
  EXPECT_EQ(shown_number(27.4321), "27.4");
  EXPECT_EQ(shown_number(0.012345), "0.0123");
  EXPECT_EQ(shown_number(-1234.6), "-1235");
  EXPECT_EQ(shown_number(0.0), "0");
  EXPECT_EQ(shown_number(0.8304, 4), "0.8304");
  EXPECT_EQ(shown_number(std::nan("")), "–");
  EXPECT_EQ(shown_number(1.0 / 0.0), "–");
}

TEST(HtmlPage, IsBalancedWithEveryKindOfPart) {
  HtmlPage page("Report <1>", "of a & b");
  page.section("Results");
  page.tiles({{"ARMSE", "27.4", "ml/100g/min"}});
  page.heading("Table");
  page.paragraph("a < b");
  page.list({"one", "two"});
  page.note(NoteKind::warning, "sub-01: short series");
  page.table({"caption", {{"name", false}, {"value"}}, {{"x", "1"}, {"mean", "2"}}, {1}});
  page.begin_fold("sub-01", true);
  page.figure({{"bSVD", Image8(2, 2, {1, 2, 3})}}, {{"CBF", Palette::sequential, {0.0, 100.0}, "ml/100g/min"}}, "maps");
  page.begin_fold("sub-02");
  page.plot(svg_lines({{"AIF", {0, 1, 2}, {0, 3, 1}}}, {"time (s)", "ΔR2* (1/s)"}), "the AIF");
  page.section("Settings");  // ends the fold
  page.details("job", "seed: 1\n<x>");
  page.begin_fold("last");
  const std::string html = page.str();
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_EQ(html.find("<x>"), std::string::npos);
  EXPECT_NE(html.find("<title>Report &lt;1&gt;</title>"), std::string::npos);
  EXPECT_EQ(count(html, "<section id="), 2u);
  EXPECT_NE(html.find("<a href=\"#section-2\">Settings</a>"), std::string::npos);
  EXPECT_NE(html.find("<tr class=\"strong\"><td>mean</td><td class=\"n\">2</td></tr>"), std::string::npos);
}

TEST(HtmlPage, LoadsNothingFromOutside) {
  HtmlPage page("t", "s");
  page.section("a");
  page.figure({{"p", Image8(2, 2, {1, 2, 3})}}, {}, "c");
  const std::string html = page.str();
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find("url("), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("src=\"data:image/png;base64,iVBORw0KGgo"), std::string::npos);
}

TEST(HtmlPage, RefusesARowThatDoesNotFitItsTable) {
  HtmlPage page("t", "s");
  try {
    page.table({"volumes", {{"a"}, {"b"}}, {{"1", "2"}, {"3"}}});
    FAIL() << "a short row was taken";
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("row 2 has 1 cells for 2 columns"), std::string::npos) << error.what();
  }
}

TEST(HtmlPage, FirstUnbalancedSeesAnOpenTag) {
  EXPECT_EQ(first_unbalanced("<p><b>x</p>"), "</p> after <b>");
  EXPECT_EQ(first_unbalanced("<p title=\"a>b\">"), "<p> left open");
}

}  // namespace
}  // namespace perfpipe
