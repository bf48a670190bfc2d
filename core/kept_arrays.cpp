#include "core/kept_arrays.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

namespace perfpipe {
namespace {

struct Kept {
  std::filesystem::path file;
  std::string content, name;
  KeptArray array;
  std::size_t bytes() const { return array->size() * sizeof(float); }
};

std::mutex guard;
std::deque<Kept> all;  // in the order in which they came

}  // namespace

void keep_array(const std::filesystem::path& file, const std::string& content, const std::string& name, KeptArray array,
                std::size_t most_bytes) {
  const std::lock_guard lock(guard);
  std::erase_if(all, [&](const Kept& one) { return one.file == file && one.name == name; });
  all.push_back({file, content, name, std::move(array)});
  std::size_t bytes = 0;
  for (const auto& one : all) bytes += one.bytes();
  for (; bytes > most_bytes; all.pop_front()) bytes -= all.front().bytes();
}

KeptArray kept_array(const std::filesystem::path& file, const std::string& content, const std::string& name) {
  const std::lock_guard lock(guard);
  const auto found = std::find_if(all.begin(), all.end(), [&](const Kept& one) {
    return one.file == file && one.name == name && one.content == content;
  });
  return found == all.end() ? nullptr : found->array;
}

void drop_kept_arrays() {
  const std::lock_guard lock(guard);
  all.clear();
}

}  // namespace perfpipe
