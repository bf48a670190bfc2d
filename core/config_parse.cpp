// YAML text -> ConfigNode, through yaml-cpp's events: unlike its document tree they show duplicate keys, tags and
// aliases.
#include "core/config.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace perfpipe {
namespace {

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string source) : source_(std::move(source)) {}

  ConfigNode take() { return std::move(root_); }
  int documents() const { return documents_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) fail(mark, "a second YAML document starts here; a job file holds one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(make(mark, ConfigNode::Kind::null), mark, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      fail(mark, "this alias names a value that is not complete yet (an alias inside its own anchor)");
    place(found->second, mark, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    if (expecting_key()) {
      add_key(mark, value, tag == "!");
      return;
    }
    const bool quoted = tag == "!";
    ConfigNode node = make(mark, ConfigNode::Kind::scalar);
    if (!quoted && (value.empty() || value == "~" || value == "null")) node.kind = ConfigNode::Kind::null;
    node.text = value;
    node.quoted = quoted;
    place(std::move(node), mark, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigNode::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigNode::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    ConfigNode node;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    std::string key;
    std::string key_where;
    bool has_key = false;
    std::set<std::string> keys;  // a search through the entries would take seconds for a megabyte of keys
  };

  std::string where(const YAML::Mark& mark) const {
    return fmt::format("{}:{}:{}", source_, mark.line + 1, mark.column + 1);
  }
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) const {
    throw ConfigError(where(mark) + ": " + what);
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    fail(mark, fmt::format("the tag '{}' is not allowed; write the plain value", tag));
  }
  bool expecting_key() const {
    return !frames_.empty() && frames_.back().node.kind == ConfigNode::Kind::map && !frames_.back().has_key;
  }
  ConfigNode make(const YAML::Mark& mark, ConfigNode::Kind kind) const {
    ConfigNode node;
    node.kind = kind;
    node.where = where(mark);
    return node;
  }
  void add_key(const YAML::Mark& mark, const std::string& key, bool quoted) {
    Frame& frame = frames_.back();
    if (key == "<<" && !quoted) fail(mark, "merge keys ('<<') are not allowed; repeat the values");
    if (!frame.keys.insert(key).second)
      fail(mark, fmt::format("the key '{}' stands twice in this map; remove one (the first is at {})", key,
                             frame.node.find(key)->where));
    frame.key = key;
    frame.key_where = where(mark);
    frame.has_key = true;
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, ConfigNode::Kind kind) {
    check_tag(mark, tag);
    if (expecting_key()) fail(mark, "a key must be a plain word, not a list or a map");
    if (frames_.size() >= static_cast<std::size_t>(max_config_depth))
      fail(mark, fmt::format("nested deeper than {} levels", max_config_depth));
    frames_.push_back({make(mark, kind), anchor, mark, {}, {}, false, {}});
  }
  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    place(std::move(frame.node), frame.mark, frame.anchor);
  }
  static std::size_t weight(const ConfigNode& node) {
    std::size_t total = node.text.size() + 8;
    for (const auto& [key, child] : node.entries) total += key.size() + weight(child);
    for (const auto& item : node.items) total += weight(item);
    return total;
  }
  static std::size_t depth(const ConfigNode& node) {
    std::size_t deepest = 0;
    for (const auto& [key, child] : node.entries) deepest = std::max(deepest, depth(child));
    for (const auto& item : node.items) deepest = std::max(deepest, depth(item));
    return deepest + (node.kind == ConfigNode::Kind::map || node.kind == ConfigNode::Kind::sequence);
  }
  void place(ConfigNode node, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (frames_.empty() || frames_.back().node.kind != ConfigNode::Kind::map || frames_.back().has_key) {
      // Scalars and closed containers reach this point once, expanded aliases again and again: that is what the cap is
      // for.
      const bool leaf_or_alias =
          node.kind == ConfigNode::Kind::scalar || node.kind == ConfigNode::Kind::null || anchor == 0;
      if (leaf_or_alias && !anchors_.empty()) expanded_ += weight(node);
      if (expanded_ > 4 * max_config_bytes) fail(mark, "the aliases expand to more than a job file may hold (1 MiB)");
      if (frames_.size() + depth(node) > static_cast<std::size_t>(max_config_depth))
        fail(mark, fmt::format("nested deeper than {} levels", max_config_depth));
    }
    if (anchor != 0) anchors_[anchor] = node;
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == ConfigNode::Kind::sequence) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    if (!frame.has_key) fail(mark, "a key must be a plain word");
    if (node.kind == ConfigNode::Kind::null) node.where = frame.key_where;
    frame.node.entries.emplace_back(frame.key, std::move(node));
    frame.has_key = false;
  }

  std::string source_;
  ConfigNode root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, ConfigNode> anchors_;
  std::size_t expanded_ = 0;
  int documents_ = 0;
};

void set_paths(ConfigNode& node, const std::string& path) {
  node.path = path;
  for (auto& [key, child] : node.entries) set_paths(child, path.empty() ? key : path + "." + key);
  for (std::size_t i = 0; i < node.items.size(); ++i) set_paths(node.items[i], fmt::format("{}[{}]", path, i));
}

/// Tabs as indentation, and bytes that are not UTF-8: yaml-cpp lets both through.
void check_lines(const std::string& text, const std::string& source) {
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto first = line.find_first_not_of(" \t\r");
    const auto tab = line.find('\t');
    if (first != std::string::npos && tab != std::string::npos && tab < first)
      throw ConfigError(fmt::format("{}:{}:{}: a tab is used as indentation; use spaces", source, number, tab + 1));
    try {
      static_cast<void>(nlohmann::json(line).dump());
    } catch (const nlohmann::json::type_error&) {
      throw ConfigError(
          fmt::format("{}:{}:1: the line holds bytes that are not UTF-8; save the file as UTF-8", source, number));
    }
  }
}

}  // namespace

ConfigNode parse_config(const std::string& text, const std::string& source) {
  if (text.size() > max_config_bytes)
    throw ConfigError(fmt::format("{}: {} bytes; at most {} are allowed", source, text.size(), max_config_bytes));
  if (text.find('\0') != std::string::npos) throw ConfigError(source + ": holds a zero byte; a job file is UTF-8 text");
  check_lines(text, source);
  TreeBuilder builder(source);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw ConfigError(
        fmt::format("{}:{}:{}: not valid YAML: {}", source, error.mark.line + 1, error.mark.column + 1, error.msg));
  }
  ConfigNode root = builder.take();
  if (root.where.empty()) root.where = source + ":1:1";
  set_paths(root, "");
  return root;
}

}  // namespace perfpipe
