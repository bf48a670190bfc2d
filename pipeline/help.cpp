#include "pipeline/help.hpp"

#include "core/stage.hpp"
#include "stages/registry.hpp"

#include <fmt/format.h>

namespace perfpipe {
namespace {

const char* scope_text(Scope scope) {
  switch (scope) {
    case Scope::cohort:
      return "once for the cohort";
    case Scope::patient:
      return "for each patient";
    case Scope::fold:
      return "for each held-out patient and parameter";
  }
  return "";
}

void print_stage(const StageType& type) {
  fmt::print("{}  ({})\n  {}\n", type.name, scope_text(type.scope), type.summary);
  if (!type.reference.empty()) fmt::print("  Reference: {}\n", type.reference);
  Findings ignored;
  const Ports ports = type.configure(ConfigNode{}, ignored)->ports();
  std::vector<std::string> reads, writes;
  for (const auto& port : ports.reads) reads.push_back(port.dataset.name + (port.optional ? " (if there)" : ""));
  for (const auto& spec : ports.writes) writes.push_back(fmt::format("{} [{}]", spec.name, spec.units));
  fmt::print("  reads:  {}\n  writes: {}\n", reads.empty() ? "files" : join(reads),
             writes.empty() ? "files" : join(writes));
  for (const auto& option : type.options) {
    fmt::print("    {}: {}{}{}\n        default {}. {}\n", option.name, option.type,
               option.allowed.empty() ? "" : " " + option.allowed, option.unit.empty() ? "" : " " + option.unit,
               option.initial, option.meaning);
  }
  fmt::print("\n");
}

}  // namespace

bool print_stages(const std::string& only) {
  std::vector<std::string> names;
  bool found = false;
  for (const auto& type : all_stage_types()) {
    names.push_back(type.name);
    if (!only.empty() && type.name != only) continue;
    print_stage(type);
    found = true;
  }
  if (!found) {
    const auto near = nearest(only, names);
    fmt::print(stderr, "perfpipe: there is no stage '{}'{}; there are: {}\n", only,
               near ? fmt::format(" (did you mean '{}'?)", *near) : "", join(names));
  } else if (only.empty()) {
    fmt::print("Every stage also takes `as: NAME`: a name of its own, so that it may stand twice in a job.\n");
  }
  return found;
}

}  // namespace perfpipe
