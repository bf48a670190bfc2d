// Ranks that share a network's mini-batches, each with a GPU whose kernels run on the host: NCCL is false, MPI is not.
#include "cluster/device_communicators.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "tests/cluster/false_nccl.hpp"
#include "tests/cluster/world.hpp"
#include "tests/model/gpu/host_training.hpp"
#include "tests/model/gpu/trainings.hpp"

#include <cstring>

namespace perfpipe {
namespace {

using false_nccl::Call;
using false_nccl::Fault;
using false_nccl::SumsCome;

std::unique_ptr<DeviceCommunicator> nccl(Fault fault, const NcclLimits& limits) {
  false_nccl::reset(world(), fault, SumsCome::with_call);
  return make_nccl_communicator(world(), false_nccl::table(), {0, "GPU-" + std::to_string(world().rank())}, limits);
}

TrainingJob shared(const Recipe& recipe, const Sets& sets) {
  auto one = job(recipe, sets);
  one.hooks.group = &world();
  return one;
}

TrainingOutcome train_shared(TrainingJob one, DeviceCommunicator& gpus) {
  return train_together({std::move(one)}, {0, &gpus, 2}, gpu::host_training_table(), 3).front();
}

TrainingResult alone(const Recipe& recipe, const Sets& sets) {
  return train_together({job(recipe, sets)}, {}, gpu::host_training_table(), 3).front().result;
}

std::string digest(const TrainingResult& result) {
  std::string bytes;
  const auto add = [&](const auto& numbers) {
    bytes.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(numbers[0]));
  };
  add(result.state.weights);
  add(result.state.best_weights);
  add(result.state.optimiser.velocity);
  add(result.state.optimiser.square);
  for (const auto& e : result.epochs)
    add(std::vector{e.training_loss, e.validation_loss, e.gradient_norm, e.learning_rate});
  return hash128(bytes) + " after " + std::to_string(result.state.optimiser.steps) + " steps";
}

/// On every rank what rank 0 found; compared there, too.
void expect_that_of_one_rank(const TrainingOutcome& found, const Recipe& recipe, const Sets& sets) {
  ASSERT_EQ(found.failure, nullptr);
  const std::string expected = world().rank() == 0 ? digest(alone(recipe, sets)) : "";
  EXPECT_EQ(digest(found.result), world().broadcast(expected, 0, "test")) << name(recipe.parameter);
}

class SharedTraining : public testing::Test {
 protected:
  void TearDown() override { false_nccl::release(); }
};

TEST_F(SharedTraining, HasTheBitsOfOneRank) {
  // Both architectures and recipes; the last mini-batch has fewer samples than shards.
  for (const auto& recipe : {shorter(paper(Parameter::mtt), 10), shorter(modern(Parameter::cbf), 10)}) {
    Recipe one = recipe;
    one.epochs = 2;
    const Sets sets(one.parameter, 23, 5);
    const auto gpus = nccl({}, {});
    expect_that_of_one_rank(train_shared(shared(one, sets), *gpus), one, sets);
    EXPECT_EQ(false_nccl::counts().all_reduce, 6) << "a sum for each step";
    EXPECT_EQ(false_nccl::counts().calls_while_busy, 0);
  }
}

std::string copy(void* to, const void* from, std::size_t bytes, void*) {
  std::memcpy(to, from, bytes);
  return "";
}
std::string nothing(void*) { return ""; }

TEST_F(SharedTraining, ThroughTheHostToo) {
  Recipe recipe = shorter(paper(Parameter::cbf), 9);
  recipe.epochs = 1;
  const Sets sets(recipe.parameter, 20, 0);
  const CudaCopyTable copies{copy, copy, nothing};
  const auto gpus = make_host_communicator(world(), copies, {0, "GPU-shared"});
  expect_that_of_one_rank(train_shared(shared(recipe, sets), *gpus), recipe, sets);
}

TEST_F(SharedTraining, EndsOnAllRanksWhereOneIsToStop) {
  Recipe recipe = shorter(paper(Parameter::cbf), 4);
  recipe.epochs = 2;
  const Sets sets(recipe.parameter, 18, 5);  // five steps in an epoch, three at once
  const auto gpus = nccl({}, {});
  auto stopping = shared(recipe, sets);
  int asked = 0;
  if (world().rank() == world().size() - 1) stopping.hooks.stop = [&] { return ++asked == 2; };
  const auto part = train_shared(std::move(stopping), *gpus);
  ASSERT_EQ(part.failure, nullptr);
  EXPECT_TRUE(part.result.stopped);
  EXPECT_EQ(part.result.state.steps_of_epoch, 3);
  auto rest = shared(recipe, sets);
  rest.resume = part.result.state;
  expect_that_of_one_rank(train_shared(std::move(rest), *gpus), recipe, sets);
}

TEST_F(SharedTraining, AFaultOfNcclEndsAllRanksWithRankAndOperation) {
  if (world().size() == 1) return;
  const int guilty = world().size() - 1;
  constexpr NcclLimits limits{std::chrono::milliseconds(5000), std::chrono::milliseconds(1000),
                              std::chrono::milliseconds(1000)};
  Recipe recipe = shorter(paper(Parameter::cbf), 4);
  const Sets sets(recipe.parameter, 12, 0);
  for (const auto& [kind, why] : {std::pair{Fault::Kind::error, "ncclAllReduce: false remote error (more words)"},
                                  {Fault::Kind::never_done, "ncclAllReduce is not done after 1.0 s"}}) {
    std::string words = "no exception";
    try {
      const auto gpus = nccl(world().rank() == guilty ? Fault{Call::all_reduce, kind, 1} : Fault{}, limits);
      train_shared(shared(recipe, sets), *gpus);
    } catch (const DeviceError& error) {
      words = error.what();
    }
    EXPECT_GE(false_nccl::counts().all_reduce, 2) << "a step went well";
    const auto holds = [&](const std::string& part) { return words.find(part) != std::string::npos; };
    EXPECT_TRUE(holds("gradients of cuda/cbf: rank ")) << words;
    EXPECT_TRUE(holds(why)) << words;
    // One that hangs does not say so: whoever is first at the limit tells the others.
    EXPECT_TRUE(kind == Fault::Kind::never_done ||
                holds("rank " + std::to_string(guilty) + " of " + std::to_string(world().size()) + " on GPU-" +
                      std::to_string(guilty)))
        << words;
    EXPECT_EQ(false_nccl::counts().abort, 1);
    world().barrier("all ranks have ended");
  }
}

TEST_F(SharedTraining, AGroupThatIsNotTheGpusIsRefused) {
  const Recipe recipe = paper(Parameter::cbf);
  const Sets sets(recipe.parameter, 12, 0);
  const auto gpus = nccl({}, {});
  EXPECT_THROW(train_shared(job(recipe, sets), *gpus), std::invalid_argument);
}

}  // namespace
}  // namespace perfpipe
