// What a block of threads offers to the body of a kernel. A body is a template over the block that it runs on: on a GPU
// its threads run together; on the host, for the tests, they run one after another from barrier to barrier. So every
// index, mask, tail and sum of a kernel is tested where there is no GPU.
//
// A body is a sequence of phases. Block::each_thread(phase) calls phase(thread) for each thread, with a barrier behind
// it; Block::each_warp(phase) calls phase(warp) for each warp, in which warp.each_lane(work) calls work(lane) without a
// barrier (for registers, and memory that nobody writes meanwhile), and warp.phase(work) with one. What a thread keeps
// in registers from phase to phase stands in Registers<N>, of(thread) of which is its array; on the host they are the
// arrays of all threads. C++17: what nvcc compiles is not more.
#pragma once

#include <cmath>
#include <type_traits>

#ifdef __CUDACC__
#define PERFPIPE_DEVICE __device__ __forceinline__
#define PERFPIPE_ANYWHERE __host__ __device__ constexpr
#define PERFPIPE_UNROLL _Pragma("unroll")
#define PERFPIPE_NO_UNROLL _Pragma("unroll 1")
#else
#include <algorithm>
#include <vector>
#define PERFPIPE_DEVICE inline
#define PERFPIPE_ANYWHERE constexpr
#define PERFPIPE_UNROLL
#define PERFPIPE_NO_UNROLL
#endif

namespace perfpipe::gpu {

inline constexpr int warp_lanes = 32;

/// a * b + c, rounded once: the chains of the CPU's kernels, bit for bit.
PERFPIPE_DEVICE float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

/// Two and four numbers in a row, read and written at once.
struct alignas(8) Pair {
  float x, y;
};
struct alignas(16) Quad {
  float x, y, z, w;
};
PERFPIPE_DEVICE Pair pair_at(const float* p) { return *reinterpret_cast<const Pair*>(p); }
PERFPIPE_DEVICE Quad quad_at(const float* p) { return *reinterpret_cast<const Quad*>(p); }

/// max(0, x), and NaN where x is NaN.
PERFPIPE_DEVICE float relu(float x) { return 0.0f > x ? 0.0f : x; }
/// x where `open` let the forward pass through.
PERFPIPE_DEVICE float gate(float open, float x) { return open > 0.0f ? x : 0.0f; }
PERFPIPE_DEVICE float magnitude(float x) { return x < 0.0f ? -x : x; }
/// False for infinities and NaN.
PERFPIPE_DEVICE bool is_finite(float x) { return magnitude(x) <= 3.402823466e38f; }

#ifdef __CUDACC__

/// A thread's own array.
template <int N, class T = float>
struct ThreadRegisters {
  T values[N];
  PERFPIPE_DEVICE T (&of(int))[N] { return values; }
  PERFPIPE_DEVICE const T (&of(int) const)[N] { return values; }
};

class DeviceWarp {
 public:
  template <int N, class T = float>
  using Registers = ThreadRegisters<N, T>;

  PERFPIPE_DEVICE int index() const { return static_cast<int>(threadIdx.x) / warp_lanes; }
  template <class Work>
  PERFPIPE_DEVICE void each_lane(const Work& work) const {
    work(lane());
  }
  template <class Work>
  PERFPIPE_DEVICE void phase(const Work& work) const {
    work(lane());
    __syncwarp();
  }
  /// Whether it holds for any lane.
  template <class Question>
  PERFPIPE_DEVICE bool any(const Question& question) const {
    return __any_sync(all, question(lane()));
  }
  /// Lanes 4q to 4q + 3 all get their sum, (0 + 1) + (2 + 3).
  template <int N>
  PERFPIPE_DEVICE void add_in_quads(Registers<N>& x) const {
    PERFPIPE_UNROLL
    for (int i = 0; i < N; ++i) {
      x.values[i] += __shfl_xor_sync(all, x.values[i], 1);
      x.values[i] += __shfl_xor_sync(all, x.values[i], 2);
    }
  }
  /// Lane 0 gets the sum of all lanes: halves onto halves, in the order of the CPU's kernels.
  template <int N>
  PERFPIPE_DEVICE void add_by_halves(Registers<N>& x) const {
    PERFPIPE_UNROLL
    for (int half = warp_lanes / 2; half > 0; half /= 2) {
      PERFPIPE_UNROLL
      for (int i = 0; i < N; ++i) x.values[i] += __shfl_down_sync(all, x.values[i], half);
    }
  }

 private:
  static constexpr unsigned all = 0xffffffffu;
  PERFPIPE_DEVICE int lane() const { return static_cast<int>(threadIdx.x) % warp_lanes; }
};

class DeviceBlock {
 public:
  template <int N, class T = float>
  using Registers = ThreadRegisters<N, T>;

  explicit PERFPIPE_DEVICE DeviceBlock(float* shared) : shared_(shared) {}
  PERFPIPE_DEVICE int index() const { return static_cast<int>(blockIdx.x); }
  PERFPIPE_DEVICE int blocks() const { return static_cast<int>(gridDim.x); }
  PERFPIPE_DEVICE int row() const { return static_cast<int>(blockIdx.y); }  ///< the grid's second axis: a network
  PERFPIPE_DEVICE int threads() const { return static_cast<int>(blockDim.x); }
  PERFPIPE_DEVICE float* shared() const { return shared_; }
  template <class Phase>
  PERFPIPE_DEVICE void each_thread(const Phase& phase) const {
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  template <class Phase>
  PERFPIPE_DEVICE void each_warp(const Phase& phase) const {
    phase(DeviceWarp());
    __syncthreads();
  }
  /// Lowers a number that all blocks share: whole numbers, so the order does not matter.
  static PERFPIPE_DEVICE void lower(int* at, int value) { atomicMin(at, value); }

 private:
  float* shared_;
};

#else

/// The arrays of `Threads` threads.
template <int Threads, int N, class T>
struct AllRegisters {
  T values[Threads][N];
  T (&of(int thread))[N] { return values[thread]; }
  const T (&of(int thread) const)[N] { return values[thread]; }
};

class HostWarp {
 public:
  template <int N, class T = float>
  using Registers = AllRegisters<warp_lanes, N, T>;

  explicit HostWarp(int index) : index_(index) {}
  int index() const { return index_; }
  template <class Work>
  void each_lane(const Work& work) const {
    for (int lane = 0; lane < warp_lanes; ++lane) work(lane);
  }
  template <class Work>
  void phase(const Work& work) const {
    each_lane(work);
  }
  template <class Question>
  bool any(const Question& question) const {
    bool found = false;
    for (int lane = 0; lane < warp_lanes; ++lane) found = question(lane) || found;
    return found;
  }
  template <int N>
  void add_in_quads(Registers<N>& x) const {
    for (int quad = 0; quad < warp_lanes; quad += 4)
      for (int i = 0; i < N; ++i) {
        const float sum = (x.values[quad][i] + x.values[quad + 1][i]) + (x.values[quad + 2][i] + x.values[quad + 3][i]);
        for (int lane = quad; lane < quad + 4; ++lane) x.values[lane][i] = sum;
      }
  }
  template <int N>
  void add_by_halves(Registers<N>& x) const {
    for (int half = warp_lanes / 2; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane)
        for (int i = 0; i < N; ++i) x.values[lane][i] += x.values[lane + half][i];
  }

 private:
  int index_;
};

class HostBlock {
 public:
  static constexpr int most_threads = 512;
  template <int N, class T = float>
  using Registers = AllRegisters<most_threads, N, T>;

  HostBlock(int index, int blocks, int row, int threads, float* shared)
      : index_(index), blocks_(blocks), row_(row), threads_(threads), shared_(shared) {}
  int index() const { return index_; }
  int blocks() const { return blocks_; }
  int row() const { return row_; }
  int threads() const { return threads_; }
  float* shared() const { return shared_; }
  template <class Phase>
  void each_thread(const Phase& phase) const {
    for (int thread = 0; thread < threads_; ++thread) phase(thread);
  }
  template <class Phase>
  void each_warp(const Phase& phase) const {
    for (int warp = 0; warp < threads_ / warp_lanes; ++warp) phase(HostWarp(warp));
  }
  static void lower(int* at, int value) { *at = std::min(*at, value); }

 private:
  int index_, blocks_, row_, threads_;
  float* shared_;
};

/// Runs a kernel's body on the host: `rows` times `blocks` blocks of `threads`, the last first: what depends on the
/// order of blocks shows. Shared memory holds NaN at first.
template <class Body>
void run_on_host(int blocks, int rows, int threads, std::size_t shared_bytes, const Body& body) {
  for (int block = rows * blocks - 1; block >= 0; --block) {
    std::vector<float> shared(shared_bytes / sizeof(float), std::nanf(""));
    body(HostBlock(block % blocks, blocks, block / blocks, threads, shared.data()));
  }
}

#endif

}  // namespace perfpipe::gpu
