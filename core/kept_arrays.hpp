// Arrays of artifacts that this process has just written, for the stages that read them next: a patient's curves need
// not come back from the file system for each of them.
#pragma once

#include "core/raw_values.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace perfpipe {

using KeptArray = std::shared_ptr<const RawValues<float>>;

/// Some slices of an array, its own or shared with what is kept.
class Slices {
 public:
  explicit Slices(RawValues<float> values)
      : array_(std::make_shared<RawValues<float>>(std::move(values))), values_(*array_) {}
  Slices(KeptArray array, std::size_t first, std::size_t count)
      : array_(std::move(array)), values_(std::span(*array_).subspan(first, count)) {}

  const float* data() const { return values_.data(); }
  std::size_t size() const { return values_.size(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  KeptArray array_;
  std::span<const float> values_;
};

/// Keeps the whole array `name` of the artifact at `file` with this content hash. What was kept first goes first, so
/// that no more than `most_bytes` are kept; an array of more is not.
void keep_array(const std::filesystem::path& file, const std::string& content, const std::string& name, KeptArray array,
                std::size_t most_bytes);

/// nullptr if it is not kept, or the artifact is another by now.
KeptArray kept_array(const std::filesystem::path& file, const std::string& content, const std::string& name);

/// Drops all: nothing is held beyond a job.
void drop_kept_arrays();

}  // namespace perfpipe
