// Whether a page's tags nest, for tests of what writes HTML.
#pragma once

#include <cctype>
#include <string>
#include <vector>

namespace perfpipe {

/// Names the first tag that is not closed in order, or is empty if the page nests properly.
inline std::string first_unbalanced(const std::string& page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    const bool closing = page[++at] == '/';
    if (closing) ++at;
    std::string name;
    while (at < page.size() && std::isalnum(static_cast<unsigned char>(page[at])) != 0) name += page[at++];
    bool quoted = false;  // a > within a quoted attribute does not end the tag
    while (at < page.size() && (quoted || page[at] != '>')) quoted ^= page[at++] == '"';
    const bool alone = name.empty() || name == "meta" || name == "img" || page[at - 1] == '/';
    if (alone) continue;
    if (!closing) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> after " + (open.empty() ? "nothing" : "<" + open.back() + ">");
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> left open";
}

}  // namespace perfpipe
