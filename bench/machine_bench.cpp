// The machine alone: what the other benches compare with.
#include "bench/machine.hpp"

namespace perfpipe::bench {
namespace {

void matrix_product(benchmark::State& state) {
  const auto products = matrix_products();
  const auto which = static_cast<std::size_t>(state.range(0));
  if (which >= products.size()) return state.SkipWithError("not installed");
  state.SetLabel(products[which].library);
  run_beside_floor(state, products[which].multiply_adds, products[which].run);
}
BENCHMARK(matrix_product)->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMillisecond);

void copy(benchmark::State& state) {
  double best = 0.0;
  for (auto _ : state) best = std::max(best, copy_bandwidth(1));
  state.counters["GB/s"] = best * 1e-9;
}
BENCHMARK(copy)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace perfpipe::bench
