#include "stages/recipes.hpp"

#include "stages/recipe_texts.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace perfpipe {
namespace {

using Kind = ConfigNode::Kind;

std::optional<ConfigNode> load(const std::string& recipe, const ConfigNode& options, Findings& findings) {
  for (const auto& [name, text] : recipe_texts())
    if (name == recipe) return parse_config(std::string(text), "recipe " + recipe);
  if (!std::filesystem::path(recipe).has_extension()) {
    findings.add(options.where, fmt::format("{}.recipe = {}: expected one of: {}, or a YAML file", options.path, recipe,
                                            join(recipe_names())));
    return std::nullopt;
  }
  try {
    return parse_config(read_config_text(recipe), recipe);
  } catch (const ConfigError& error) {
    findings.add(options.where, fmt::format("{}.recipe: {}", options.path, error.what()));
    return std::nullopt;
  }
}

void add_missing(ConfigNode& given, const ConfigNode& recipe) {
  for (const auto& [key, value] : recipe.entries) {
    const auto known = std::find_if(given.entries.begin(), given.entries.end(),
                                    [&, &name = key](const auto& entry) { return entry.first == name; });
    if (known == given.entries.end())
      given.entries.emplace_back(key, value);
    else if (known->second.kind == Kind::map && value.kind == Kind::map)
      add_missing(known->second, value);
  }
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const auto& recipe : recipe_texts()) names.emplace_back(recipe.first);
  return names;
}

void complete_from_recipe(ConfigNode& options, Findings& findings) {
  if (options.kind != Kind::map && options.kind != Kind::null) return;  // a finding of whoever reads them
  const ConfigNode* named = options.find("recipe");
  if (named != nullptr && named->kind != Kind::scalar) return;
  const auto recipe = load(named == nullptr ? "paper" : named->text, options, findings);
  if (!recipe) return;
  if (recipe->kind != Kind::map || recipe->find("recipe") != nullptr) {
    findings.add(recipe->where, "a recipe is a map of the training stage's options, without `recipe`");
    return;
  }
  options.kind = Kind::map;
  add_missing(options, *recipe);
}

}  // namespace perfpipe
