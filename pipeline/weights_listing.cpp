#include "pipeline/weights_listing.hpp"

#include "model/bicnn.hpp"
#include "stages/statistics.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace perfpipe {
namespace {

/// A file's text on a terminal: control characters would move its cursor.
std::string printable(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      safe += c;
  }
  return safe;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

/// 131905 -> "131,905".
std::string grouped(std::size_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

}  // namespace

std::string layer_meaning(const std::string& tensor) {
  const auto dot = tensor.rfind('.');
  if (dot == std::string::npos) return "";
  std::string layer = tensor.substr(0, dot), part = tensor.substr(dot + 1), chain;
  if (part != "weight" && part != "bias") return "";
  if (layer.starts_with("ctc.") || layer.starts_with("aif.")) {
    chain = layer.starts_with("ctc.") ? "tissue chain, " : "AIF chain, ";
    layer = layer.substr(4);
  }
  static const std::array<std::array<const char*, 3>, 6> known{{
      {"conv1", "L1 to L2", "32 filters of 1x1x36, in time"},
      {"conv2", "L2 to L3", "32 filters of 1x1x35, in time"},
      {"conv3", "L3 to L4", "32 filters of 2x2x1, in space"},
      {"fc6", "L5 to L6", "fully connected"},
      {"fc7", "L6 to L7", "fully connected"},
      {"fc8", "L7 to L8", "fully connected, the estimate"},
  }};
  for (const auto& [name, place, what] : known)
    if (layer == name && chain.empty() == layer.starts_with("fc"))
      return part == "bias" ? fmt::format("{}{}: biases", chain, place) : fmt::format("{}{}: {}", chain, place, what);
  return "";
}

std::string weights_listing(const WeightFile& file, const std::string& source, const std::string& problem) {
  std::size_t count = 0;
  for (const auto& tensor : file.tensors) count += tensor.values.size();
  std::string text =
      fmt::format("{}: {} weights in {} tensors\n", printable(source), grouped(count), file.tensors.size());
  if (!problem.empty()) text += fmt::format("  not usable as a network: {}\n", printable(problem));
  for (const auto& [key, value] : file.metadata) text += fmt::format("  {:<16} {}\n", printable(key), printable(value));
  std::size_t name_width = 6, shape_width = 5;
  for (const auto& tensor : file.tensors) {
    name_width = std::max(name_width, printable(tensor.name).size());
    shape_width = std::max(shape_width, shape_text(tensor.shape).size());
  }
  text += fmt::format("\n  {:<{}}  {:<{}}  {:>8}  {:>11}  {:>11}  {:>11}  {:>11}  {}\n", "tensor", name_width, "shape",
                      shape_width, "values", "least", "greatest", "mean", "SD", "what it is");
  for (const auto& tensor : file.tensors) {
    Agreement values;
    float least = std::numeric_limits<float>::max(), greatest = std::numeric_limits<float>::lowest();
    for (const float x : tensor.values) {
      values.add(x, x);
      least = std::min(least, x);
      greatest = std::max(greatest, x);
    }
    text += fmt::format("  {:<{}}  {:<{}}  {:>8}", printable(tensor.name), name_width, shape_text(tensor.shape),
                        shape_width, tensor.values.size());
    if (tensor.values.empty())
      text += fmt::format("  {:>11}  {:>11}  {:>11}  {:>11}", "-", "-", "-", "-");
    else
      text += fmt::format("  {:>11.4g}  {:>11.4g}  {:>11.4g}  {:>11.4g}", least, greatest, values.mean_reference(),
                          values.sd_of_reference());
    text += fmt::format("  {}\n", layer_meaning(tensor.name));
  }
  return text;
}

ExitCode print_weights(const std::vector<std::string>& files) {
  ExitCode code = ExitCode::done;
  for (const auto& path : files) {
    try {
      const auto file = read_safetensors(path);
      std::string problem;
      try {
        check_weights(file, path);
      } catch (const Error& error) {
        problem = error.what();
        code = ExitCode::input;
        fmt::print(stderr, "perfpipe: error: {}\n", printable(problem));
      }
      fmt::print("{}{}", path == files.front() ? "" : "\n", weights_listing(file, path, problem));
    } catch (const Error& error) {
      fmt::print(stderr, "perfpipe: error: {}\n", error.what());
      code = ExitCode::input;
    }
  }
  return code;
}

}  // namespace perfpipe
