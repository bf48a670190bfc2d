#include "formats/label_table.hpp"

#include "core/atomic_file.hpp"
#include "formats/table.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <fmt/format.h>

namespace perfpipe {
namespace {

std::vector<std::string> cells_of(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> cells(1);
  for (const char c : line)
    if (c == '\t')
      cells.emplace_back();
    else
      cells.back() += c;
  return cells;
}

}  // namespace

LabelTable read_label_table(const std::filesystem::path& path, Findings& findings) {
  LabelTable table;
  const auto text = read_small_file(path, max_table_bytes, findings);
  if (!text) return table;
  std::istringstream lines(*text);
  std::string line;
  std::getline(lines, line);
  const auto header = cells_of(line);
  const auto column = std::find(header.begin(), header.end(), "index") - header.begin();
  for (const auto& name : header)
    if (name != "index" && name != "name") table.factors.push_back(name);
  if (column == static_cast<std::ptrdiff_t>(header.size()) || table.factors.empty()) {
    findings.add(path.string(), "expected a header line with the columns index, name and at least one factor");
    return table;
  }
  for (int number = 2; std::getline(lines, line); ++number) {
    const auto cells = cells_of(line);
    if (cells.size() == 1 && cells[0].empty()) continue;
    int label = 0;
    const std::string word = cells.size() == header.size() ? cells[static_cast<std::size_t>(column)] : "";
    const auto end = std::from_chars(word.data(), word.data() + word.size(), label).ptr;
    std::vector<std::string> levels;
    for (std::size_t i = 0; i < cells.size() && i < header.size(); ++i)
      if (header[i] != "index" && header[i] != "name") levels.push_back(cells[i]);
    if (word.empty() || end != word.data() + word.size() || label < 1 || !table.levels.emplace(label, levels).second) {
      findings.add(path.string(), fmt::format("line {}: expected {} cells, and an index above 0 that no other line has",
                                              number, header.size()));
      return table;
    }
  }
  return table;
}

std::string format_label_table(const LabelTable& table) {
  std::string text = fmt::format("index\tname\t{}\n", fmt::join(table.factors, "\t"));
  for (const auto& [label, levels] : table.levels)
    text += fmt::format("{}\t{}\t{}\n", label, fmt::join(levels, "_"), fmt::join(levels, "\t"));
  return text;
}

}  // namespace perfpipe
