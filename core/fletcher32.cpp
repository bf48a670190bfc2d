#include "core/fletcher32.hpp"

#include "core/simd.hpp"

#include <cstring>

namespace perfpipe {
namespace {

constexpr std::size_t block = 256;  ///< words whose weighted sum fits into 32 bits
constexpr std::uint64_t modulus = 65535;

struct Sums {
  std::uint64_t plain = 0;     ///< of the words
  std::uint64_t weighted = 0;  ///< each as often as there are words from it on
};

/// The sums over whole blocks of words as they lie in memory, modulo 65535.
PERFPIPE_SIMD void add_blocks(const std::uint8_t* bytes, std::size_t blocks, Sums* sums) {
  for (std::size_t b = 0; b < blocks; ++b, bytes += 2 * block) {
    std::uint16_t words[block];
    std::memcpy(words, bytes, sizeof words);
    std::uint32_t plain = 0, weighted = 0;
    for (std::uint32_t i = 0; i < block; ++i) {
      plain += words[i];
      weighted += (static_cast<std::uint32_t>(block) - i) * words[i];
    }
    sums->weighted = (sums->weighted + block * sums->plain + weighted) % modulus;
    sums->plain = (sums->plain + plain) % modulus;
  }
}

}  // namespace

std::uint32_t fletcher32(std::span<const std::uint8_t> bytes) {
  // Swapping the bytes of a word multiplies it by 256 modulo 65535, so it is done once, for the sums.
  Sums sums;
  const std::size_t blocks = bytes.size() / (2 * block);
  add_blocks(bytes.data(), blocks, &sums);
  bool anything = false;
  for (std::size_t i = 0; i < blocks * 2 * block && !anything; ++i) anything = bytes[i] != 0;
  for (std::size_t i = blocks * 2 * block; i < bytes.size(); i += 2) {
    const std::uint64_t word = bytes[i] | (i + 1 < bytes.size() ? bytes[i + 1] << 8 : 0);
    sums.plain += word;
    sums.weighted += sums.plain;
    anything = anything || word != 0;
  }
  // HDF5 folds sums instead of dividing them: what is not zero never becomes zero.
  const auto folded = [&](std::uint64_t sum) {
    const std::uint64_t swapped = sum % modulus * 256 % modulus;
    return static_cast<std::uint32_t>(swapped == 0 && anything ? modulus : swapped);
  };
  return folded(sums.weighted) << 16 | folded(sums.plain);
}

}  // namespace perfpipe
