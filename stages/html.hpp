// One self-contained HTML page: sections with a table of contents, tables, figures, notes. Nothing is loaded from
// outside.
#pragma once

#include "stages/figures.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perfpipe {

/// Text made safe inside elements and quoted attributes; control characters become U+FFFD.
std::string html_escape(std::string_view text);

/// A number for a table: `digits` significant ones, thousands ungrouped, "–" where it is not finite.
std::string shown_number(double value, int digits = 3);

struct TableColumn {
  std::string title;
  bool numeric = true;  ///< right-aligned figures
};

struct HtmlTable {
  std::string caption;
  std::vector<TableColumn> columns;
  std::vector<std::vector<std::string>> rows;  ///< plain text, escaped when written
  std::vector<std::size_t> emphasised = {};    ///< indices of rows set in bold (means, totals)
};

/// One picture of a figure with its title above.
struct Panel {
  std::string title;
  Image8 image;
};

/// What the colours of a figure's panels mean.
struct ColourLegend {
  std::string title;
  Palette palette;
  DisplayRange range;
  std::string units;
};

/// A plot by svg_lines with its title above.
struct TitledPlot {
  std::string title;
  std::string svg;
};

/// A headline number.
struct Tile {
  std::string label;
  std::string value;
  std::string note;
};

enum class NoteKind { information, warning };

/// Builds the page from top to bottom. All text parameters are plain text.
class HtmlPage {
 public:
  HtmlPage(std::string title, std::string subtitle, int threads = 1);

  /// Starts a section; its title goes into the table of contents.
  void section(const std::string& title);
  void heading(const std::string& title);
  void paragraph(const std::string& text);
  void list(const std::vector<std::string>& items);
  void note(NoteKind kind, const std::string& text);
  void tiles(const std::vector<Tile>& tiles);
  /// Throws IoError if a row has not as many cells as there are columns.
  void table(const HtmlTable& table);
  void figure(const std::vector<Panel>& panels, const std::vector<ColourLegend>& legends, const std::string& caption);
  /// `svg` is written as it is: it must come from svg_lines.
  void plot(const std::string& svg, const std::string& caption);
  /// Compact plots beside each other, each under its title.
  void plots(const std::vector<TitledPlot>& plots, const std::string& caption);
  /// Preformatted text behind a fold.
  void details(const std::string& summary, const std::string& text);
  /// Opens a fold; everything until end_fold() is inside. Folds do not nest and end with their section.
  void begin_fold(const std::string& summary, bool open = false);
  void end_fold();

  /// The whole page.
  std::string str() const;

 private:
  std::string title_;
  std::string subtitle_;
  int threads_;
  std::vector<std::string> sections_;
  std::string body_;
  bool in_section_ = false;
  bool in_fold_ = false;
};

}  // namespace perfpipe
