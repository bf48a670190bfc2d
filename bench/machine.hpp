// What this machine can do on one core, measured in the same run as what is compared with it.
//
// A claim is a ratio: the time of the code to the time that the machine's best matrix product needs for as many
// multiply-adds, or its memory for as many bytes. On a shared machine both are disturbed, so they are measured in
// turns, in pieces of a few milliseconds, and the least time of each counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <time.h>
#include <vector>

#include <benchmark/benchmark.h>

namespace perfpipe::bench {

/// Wall time of a call, in s.
template <class Work>
double seconds_of(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Time that the calling thread computed during a call, in s: what others take of a shared machine is not in it.
template <class Work>
double own_seconds_of(const Work& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

/// Time that all threads of the program computed during a call, in s.
template <class Work>
double process_seconds_of(const Work& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

/// A single-precision matrix product on the calling thread, by one library.
struct MatrixProduct {
  std::string library;
  std::function<void()> run;   ///< one product
  double multiply_adds = 0.0;  ///< of one product
};

/// The products of the libraries that are there (OpenBLAS always, oneDNN where installed), 384 x 384 x 384: in the
/// second-level cache, about 1 ms.
std::vector<MatrixProduct> matrix_products();

/// Multiply-adds per second of the fastest library on one core: the least time of `rounds` products of each.
double sgemm_rate(int rounds = 60);

/// Multiply-adds per second of each of so many cores that compute at once, by the library that is fastest on one: often
/// less than one core's that computes alone. The best of `rounds`.
double sgemm_rate_together(int cores, int rounds = 5);

/// Bytes per second that a copy reads and writes together (2 x the copied size): the least time of `rounds` copies of
/// 64 MB.
double copy_bandwidth(int rounds = 8);

/// Runs each function in turns, `rounds` times, and returns the least time of each, in s. For comparisons side by side;
/// the functions should take 1 to 50 ms.
std::vector<double> least_times(const std::vector<std::function<void()>>& functions, int rounds);

/// Runs a benchmark's iterations, each measured by the wall clock (register with ->UseManualTime()); returns the least
/// time, in s.
double least_time(benchmark::State& state, const std::function<void()>& work);

/// Measures a piece of work on the calling thread, in that thread's own time, beside the floor of its arithmetic, in
/// turns, for as long as the benchmark runs: manual time, so register with ->UseManualTime(). Reports as counters
/// `floor` (time / the time of `multiply_adds` at the sgemm rate, least of each), `GMAC/s` and `sgemm_GMAC/s`.
void run_beside_floor(benchmark::State& state, double multiply_adds, const std::function<void()>& work);

}  // namespace perfpipe::bench
