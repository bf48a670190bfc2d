#include "bench/machine.hpp"

#include <algorithm>
#include <barrier>
#include <cblas.h>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <thread>
#include <utility>
#ifdef PERFPIPE_BENCH_DNNL
#include <dnnl.h>
#include <omp.h>
#endif

namespace perfpipe::bench {
namespace {

struct Operands {
  static constexpr int n = 384;
  std::vector<float> a = std::vector<float>(n * n, 0.5f);
  std::vector<float> b = std::vector<float>(n * n, 0.25f);
  std::vector<float> c = std::vector<float>(n * n);
};

/// The fastest of the products, found anew in turns with the work that it is the floor of.
class Floor {
 public:
  void measure() {
    for (std::size_t i = 0; i < products_.size(); ++i)
      rate_ = std::max(rate_, products_[i].multiply_adds / own_seconds_of(products_[i].run));
  }
  double rate() const { return rate_; }

 private:
  std::vector<MatrixProduct> products_ = matrix_products();
  double rate_ = 0.0;
};

}  // namespace

std::vector<MatrixProduct> matrix_products() {
  const auto operands = std::make_shared<Operands>();
  constexpr int n = Operands::n;
  openblas_set_num_threads(1);
  const double multiply_adds = static_cast<double>(n) * n * n;
  std::vector<MatrixProduct> products{{"OpenBLAS",
                                       [operands] {
                                         cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f,
                                                     operands->a.data(), n, operands->b.data(), n, 0.0f,
                                                     operands->c.data(), n);
                                       },
                                       multiply_adds}};
#ifdef PERFPIPE_BENCH_DNNL
  omp_set_num_threads(1);
  products.push_back({"oneDNN",
                      [operands] {
                        dnnl_sgemm('N', 'N', n, n, n, 1.0f, operands->a.data(), n, operands->b.data(), n, 0.0f,
                                   operands->c.data(), n);
                      },
                      multiply_adds});
#endif
  return products;
}

double sgemm_rate(int rounds) {
  Floor floor;
  for (int i = 0; i < rounds; ++i) floor.measure();
  return floor.rate();
}

double sgemm_rate_together(int cores, int rounds) {
  constexpr int products_of_each = 500;  // a third of a second: as hard to find undisturbed as a job is
  using Clock = std::chrono::steady_clock;
  double best = 0.0;
  for (int round = 0; round < rounds; ++round) {
    std::barrier start(cores);
    std::vector<std::pair<Clock::time_point, Clock::time_point>> spans(static_cast<std::size_t>(cores));
    std::vector<double> multiply_adds(spans.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < spans.size(); ++i)
        threads.emplace_back([&, i] {
          const auto products = matrix_products();
          std::vector<double> rates;
          for (const auto& product : products)
            rates.push_back(product.multiply_adds / std::min(own_seconds_of(product.run), own_seconds_of(product.run)));
          const auto& fastest =
              products[static_cast<std::size_t>(std::max_element(rates.begin(), rates.end()) - rates.begin())];
          start.arrive_and_wait();
          spans[i].first = Clock::now();
          for (int product = 0; product < products_of_each; ++product) fastest.run();
          spans[i].second = Clock::now();
          multiply_adds[i] = products_of_each * fastest.multiply_adds;
        });
    }
    auto first = spans[0].first, last = spans[0].second;
    for (const auto& span : spans) {
      first = std::min(first, span.first);
      last = std::max(last, span.second);
    }
    const double seconds = std::chrono::duration<double>(last - first).count();
    best = std::max(best, std::accumulate(multiply_adds.begin(), multiply_adds.end(), 0.0) / seconds / cores);
  }
  return best;
}

double copy_bandwidth(int rounds) {
  constexpr std::size_t bytes = 64u << 20;
  std::vector<char> from(bytes, 1), to(bytes, 2);
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < rounds; ++i) {
    from[static_cast<std::size_t>(i)] = static_cast<char>(i);  // so that no copy is the same as the one before
    least = std::min(least, seconds_of([&] {
                       std::memcpy(to.data(), from.data(), bytes);
                       benchmark::ClobberMemory();
                     }));
  }
  return 2.0 * static_cast<double>(bytes) / least;
}

std::vector<double> least_times(const std::vector<std::function<void()>>& functions, int rounds) {
  std::vector<double> least(functions.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < functions.size(); ++i) least[i] = std::min(least[i], seconds_of(functions[i]));
  return least;
}

double least_time(benchmark::State& state, const std::function<void()>& work) {
  double least = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const double seconds = seconds_of(work);
    state.SetIterationTime(seconds);
    least = std::min(least, seconds);
  }
  return least;
}

void run_beside_floor(benchmark::State& state, double multiply_adds, const std::function<void()>& work) {
  Floor floor;
  work();  // caches, lazily made tables
  double least = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    floor.measure();
    const double seconds = own_seconds_of(work);
    state.SetIterationTime(seconds);
    least = std::min(least, seconds);
  }
  state.counters["floor"] = least * floor.rate() / multiply_adds;
  state.counters["GMAC/s"] = multiply_adds / least * 1e-9;
  state.counters["sgemm_GMAC/s"] = floor.rate() * 1e-9;
}

}  // namespace perfpipe::bench
