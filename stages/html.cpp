#include "stages/html.hpp"

#include "core/error.hpp"
#include "core/parallel.hpp"
#include "formats/png.hpp"
#include "stages/html_style.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace perfpipe {
namespace {

std::string image_tag(const Image8& image, const std::string& alternative) {
  return fmt::format("<img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">",
                     html_escape(alternative), image.width, image.height,
                     base64(encode_png(image.rgb, image.width, image.height, 3)));
}

std::string range_text(double value) { return fmt::format("{:.4g}", value); }

}  // namespace

std::string html_escape(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else if (c == '\'')
      safe += "&#39;";
    else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      safe += "\xEF\xBF\xBD";
    else
      safe += c;
  }
  return safe;
}

std::string shown_number(double value, int digits) {
  if (!std::isfinite(value)) return "–";
  if (value == 0.0) return "0";
  // Significant digits without an exponent: 1234.5 stays 1234, 0.01234 becomes 0.0123.
  const int before = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  const int decimals = std::max(0, digits - before);
  return decimals > 8 ? fmt::format("{:.{}g}", value, digits) : fmt::format("{:.{}f}", value, decimals);
}

HtmlPage::HtmlPage(std::string title, std::string subtitle, int threads)
    : title_(std::move(title)), subtitle_(std::move(subtitle)), threads_(threads) {}

void HtmlPage::section(const std::string& title) {
  end_fold();
  if (in_section_) body_ += "</section>\n";
  in_section_ = true;
  sections_.push_back(title);
  body_ += fmt::format("<section id=\"section-{}\">\n<h2>{}</h2>\n", sections_.size(), html_escape(title));
}

void HtmlPage::heading(const std::string& title) { body_ += fmt::format("<h3>{}</h3>\n", html_escape(title)); }

void HtmlPage::paragraph(const std::string& text) { body_ += fmt::format("<p>{}</p>\n", html_escape(text)); }

void HtmlPage::list(const std::vector<std::string>& items) {
  body_ += "<ul>\n";
  for (const auto& item : items) body_ += fmt::format("<li>{}</li>\n", html_escape(item));
  body_ += "</ul>\n";
}

void HtmlPage::note(NoteKind kind, const std::string& text) {
  body_ += fmt::format("<div class=\"note{}\">{}{}</div>\n", kind == NoteKind::warning ? " warning" : "",
                       kind == NoteKind::warning ? "<b>Warning.</b> " : "", html_escape(text));
}

void HtmlPage::tiles(const std::vector<Tile>& tiles) {
  body_ += "<div class=\"tiles\">\n";
  for (const auto& tile : tiles)
    body_ += fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b><span>{}</span></div>\n", html_escape(tile.label),
                         html_escape(tile.value), html_escape(tile.note));
  body_ += "</div>\n";
}

void HtmlPage::table(const HtmlTable& table) {
  body_ += fmt::format("<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>", html_escape(table.caption));
  for (const auto& column : table.columns)
    body_ +=
        fmt::format("<th scope=\"col\"{}>{}</th>", column.numeric ? " class=\"n\"" : "", html_escape(column.title));
  body_ += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    if (row.size() != table.columns.size())
      throw IoError(fmt::format("report table \"{}\": row {} has {} cells for {} columns", table.caption, r + 1,
                                row.size(), table.columns.size()));
    bool strong = false;
    for (std::size_t index : table.emphasised) strong = strong || index == r;
    body_ += strong ? "<tr class=\"strong\">" : "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      body_ += fmt::format("<td{}>{}</td>", table.columns[c].numeric ? " class=\"n\"" : "", html_escape(row[c]));
    body_ += "</tr>\n";
  }
  body_ += "</tbody>\n</table></div>\n";
}

void HtmlPage::figure(const std::vector<Panel>& panels, const std::vector<ColourLegend>& legends,
                      const std::string& caption) {
  body_ += fmt::format("<figure>\n<div class=\"panels\" style=\"grid-template-columns:repeat({},minmax(0,17rem))\">\n",
                       panels.size());
  std::vector<std::string> tags(panels.size());  // deflating is most of a report's time
  parallel_blocks(panels.size(), 1, threads_,
                  [&](std::size_t i, std::size_t) { tags[i] = image_tag(panels[i].image, panels[i].title); });
  for (std::size_t i = 0; i < panels.size(); ++i)
    body_ += fmt::format("<div><h4>{}</h4>{}</div>\n", html_escape(panels[i].title), tags[i]);
  body_ += "</div>\n";
  if (!legends.empty()) {
    body_ += "<div class=\"legend\">\n";
    for (const auto& legend : legends)
      body_ += fmt::format("<div><span>{}</span><span>{}</span>{}<span>{} {}</span></div>\n", html_escape(legend.title),
                           range_text(legend.range.low), image_tag(colour_bar(legend.palette, 128, 1), "colour scale"),
                           range_text(legend.range.high), html_escape(legend.units));
    body_ += "</div>\n";
  }
  body_ += fmt::format("<figcaption>{}</figcaption>\n</figure>\n", html_escape(caption));
}

void HtmlPage::plot(const std::string& svg, const std::string& caption) {
  body_ += fmt::format("<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n", svg, html_escape(caption));
}

void HtmlPage::plots(const std::vector<TitledPlot>& plots, const std::string& caption) {
  body_ += "<figure>\n<div class=\"plots\">\n";
  for (const auto& plot : plots)
    body_ += fmt::format("<div><h4>{}</h4>\n{}</div>\n", html_escape(plot.title), plot.svg);
  body_ += fmt::format("</div>\n<figcaption>{}</figcaption>\n</figure>\n", html_escape(caption));
}

void HtmlPage::details(const std::string& summary, const std::string& text) {
  body_ += fmt::format("<details><summary>{}</summary><div class=\"inside\"><pre>{}</pre></div></details>\n",
                       html_escape(summary), html_escape(text));
}

void HtmlPage::begin_fold(const std::string& summary, bool open) {
  end_fold();
  in_fold_ = true;
  body_ += fmt::format("<details{}><summary>{}</summary><div class=\"inside\">\n", open ? " open" : "",
                       html_escape(summary));
}

void HtmlPage::end_fold() {
  if (in_fold_) body_ += "</div></details>\n";
  in_fold_ = false;
}

std::string HtmlPage::str() const {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
  page += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<div class=\"page\">\n",
                      html_escape(title_), html_style);
  page += fmt::format("<header class=\"top\">\n<h1>{}</h1>\n<p class=\"subtitle\">{}</p>\n</header>\n",
                      html_escape(title_), html_escape(subtitle_));
  page += "<div class=\"body\">\n<nav aria-label=\"Contents\">\n<ol>\n";
  for (std::size_t i = 0; i < sections_.size(); ++i)
    page += fmt::format("<li><a href=\"#section-{}\">{}</a></li>\n", i + 1, html_escape(sections_[i]));
  page += "</ol>\n</nav>\n<main>\n" + body_;
  if (in_fold_) page += "</div></details>\n";
  if (in_section_) page += "</section>\n";
  return page + "</main>\n</div>\n</div>\n</body>\n</html>\n";
}

}  // namespace perfpipe
