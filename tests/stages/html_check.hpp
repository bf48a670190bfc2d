// Whether a page's tags nest, for tests of what writes HTML.
#pragma once

#include <regex>
#include <string>
#include <vector>

namespace perfpipe {

/// Names the first tag that is not closed in order, or is empty if the page nests properly.
inline std::string first_unbalanced(const std::string& page) {
  std::vector<std::string> open;
  static const std::regex tag("<(/?)([a-zA-Z0-9]+)((?:\"[^\"]*\"|[^\">])*)>");
  for (std::sregex_iterator it(page.begin(), page.end(), tag), end; it != end; ++it) {
    const std::string name = (*it)[2];
    const std::string rest = (*it)[3];
    if (name == "meta" || name == "img" || (!rest.empty() && rest.back() == '/')) continue;
    if ((*it)[1].length() == 0) {
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
