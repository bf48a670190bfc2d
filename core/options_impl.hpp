// Template bodies of core/options.hpp.
#pragma once

#include <algorithm>

namespace perfpipe {

template <class T>
OptionTable<T>& OptionTable<T>::add(Entry entry) {
  entry.help.initial = entry.write(T{}).dump();
  entries_.push_back(std::move(entry));
  return *this;
}

template <class T>
OptionTable<T>& OptionTable<T>::number(std::string name, double T::*member, Range range, std::string unit,
                                       std::string meaning) {
  return add({{std::move(name), "number", range.text(), "", std::move(unit), std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (auto x = read_number(node, range, findings)) values.*member = *x;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::integer(std::string name, std::int64_t T::*member, Range range, std::string unit,
                                        std::string meaning) {
  return add({{std::move(name), "integer", range.text(), "", std::move(unit), std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (auto x = read_integer(node, range, findings)) values.*member = *x;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::flag(std::string name, bool T::*member, std::string meaning) {
  return add({{std::move(name), "true or false", "true, false", "", "", std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (auto x = read_flag(node, findings)) values.*member = *x;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::choice(std::string name, std::string T::*member, std::vector<std::string> allowed,
                                       std::string meaning) {
  return add({{std::move(name), "one of", join(allowed), "", "", std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (auto x = read_choice(node, allowed, findings)) values.*member = *x;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::text(std::string name, std::string T::*member, std::string meaning) {
  return add({{std::move(name), "text", "", "", "", std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                // What is not given is written out as "": the resolved job is a job again.
                if (node.kind == ConfigNode::Kind::scalar && node.quoted && node.text.empty() && (T{}.*member).empty())
                  values.*member = "";
                else if (auto x = read_text(node, findings))
                  values.*member = *x;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::choices(std::string name, std::vector<std::string> T::*member,
                                        std::vector<std::string> allowed, std::string meaning) {
  return add({{std::move(name), "list of", join(allowed), "", "", std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (node.kind != ConfigNode::Kind::sequence || node.items.empty()) {
                  findings.add(node.where, node.shown() + ": expected a list of: " + join(allowed));
                  return;
                }
                std::vector<std::string> words;
                for (const auto& item : node.items) {
                  const auto word = read_choice(item, allowed, findings);
                  if (!word) return;
                  if (std::find(words.begin(), words.end(), *word) != words.end()) {
                    findings.add(item.where, item.shown() + ": listed twice; name each once");
                    return;
                  }
                  words.push_back(*word);
                }
                values.*member = words;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::integers(std::string name, std::vector<std::int64_t> T::*member, std::size_t count,
                                         Range range, std::string unit, std::string meaning) {
  return add({{std::move(name), "list of " + std::to_string(count) + " integers", range.text(), "", std::move(unit),
               std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (node.kind != ConfigNode::Kind::sequence || node.items.size() != count) {
                  findings.add(node.where, node.shown() + ": expected a list of " + std::to_string(count) +
                                               " integers, each in " + range.text());
                  return;
                }
                std::vector<std::int64_t> numbers;
                for (const auto& item : node.items) {
                  const auto x = read_integer(item, range, findings);
                  if (!x) return;
                  numbers.push_back(*x);
                }
                values.*member = numbers;
              },
              [=](const T& values) { return nlohmann::ordered_json(values.*member); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::points(std::string name, PointsByName T::*member, std::string meaning) {
  return add({{std::move(name), "list of [x, y, z], or map of patients to lists", "each from 0", "", "voxels",
               std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                PointsByName points;
                if (node.kind != ConfigNode::Kind::map) {
                  if (const auto list = read_points(node, findings)) points[""] = *list;
                } else {
                  for (const auto& [patient, entry] : node.entries)
                    if (const auto list = read_points(entry, findings)) points[patient] = *list;
                }
                values.*member = std::move(points);
              },
              [=](const T& values) { return nlohmann::ordered_json(nlohmann::json(values.*member)); }});
}

template <class T>
OptionTable<T>& OptionTable<T>::per_parameter(std::string name, PerParameter T::*member, Range range, std::string unit,
                                              std::string meaning) {
  return add({{std::move(name), "number, or map of cbf, cbv, mtt, tmax", range.text(), "", std::move(unit),
               std::move(meaning)},
              [=](T& values, const ConfigNode& node, Findings& findings) {
                if (node.kind != ConfigNode::Kind::map) {
                  if (auto x = read_number(node, range, findings)) (values.*member).fill(*x);
                  return;
                }
                reject_unknown_keys(node, {"cbf", "cbv", "mtt", "tmax"}, findings);
                for (Parameter p : all_parameters)
                  if (const ConfigNode* child = node.find(perfpipe::name(p)))
                    if (auto x = read_number(*child, range, findings)) (values.*member)[index(p)] = *x;
              },
              [=](const T& values) {
                nlohmann::ordered_json json;
                for (Parameter p : all_parameters) json[std::string(perfpipe::name(p))] = (values.*member)[index(p)];
                return json;
              }});
}

template <class T>
T OptionTable<T>::read(const ConfigNode& node, Findings& findings) const {
  T values{};
  if (node.kind == ConfigNode::Kind::null) return values;
  if (node.kind != ConfigNode::Kind::map) {
    findings.add(node.where, node.shown() + ": expected a map of options");
    return values;
  }
  std::vector<std::string> names;
  for (const auto& entry : entries_) names.push_back(entry.help.name);
  names.push_back("as");  // read before the options: the stage's own name in this job
  reject_unknown_keys(node, names, findings);
  for (const auto& entry : entries_)
    if (const ConfigNode* child = node.find(entry.help.name)) entry.read(values, *child, findings);
  return values;
}

template <class T>
nlohmann::ordered_json OptionTable<T>::write(const T& values) const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& entry : entries_) json[entry.help.name] = entry.write(values);
  return json;
}

template <class T>
std::vector<OptionHelp> OptionTable<T>::help() const {
  std::vector<OptionHelp> all;
  for (const auto& entry : entries_) all.push_back(entry.help);
  return all;
}

}  // namespace perfpipe
