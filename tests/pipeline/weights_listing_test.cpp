#include "pipeline/weights_listing.hpp"

#include "model/bicnn.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TEST(WeightsListing, NamesWhatEveryTensorOfOurNetworksIs) {
  for (const auto architecture : {Architecture::convolution, Architecture::max_pool})
    for (const auto& layer : layer_table(architecture)) EXPECT_NE(layer_meaning(layer.name), "") << layer.name;
  EXPECT_EQ(layer_meaning("ctc.conv1.weight"), "tissue chain, L1 to L2: 32 filters of 1x1x36, in time");
  EXPECT_EQ(layer_meaning("fc8.bias"), "L7 to L8: biases");
  for (const char* other : {"", "weight", "conv1.weight", "ctc.fc6.weight", "ctc.conv1.scale", "fc9.weight"})
    EXPECT_EQ(layer_meaning(other), "") << other;
}

TEST(WeightsListing, HasMetadataShapesRangesAndTheNumberOfWeights) {
  const WeightFile file{{{"recipe", "paper"}}, {{"a.weight", {2, 2}, {1, -3, 4, 6}}, {"none", {0}, {}}}};
  const auto text = weights_listing(file, "w.safetensors", "");
  EXPECT_TRUE(text.starts_with("w.safetensors: 4 weights in 2 tensors\n")) << text;
  EXPECT_NE(text.find("recipe           paper"), std::string::npos) << text;
  // Mean 2, SD sqrt((1 + 25 + 4 + 16) / 4) = 3.391.
  for (const char* part : {"2 x 2", "-3  ", "6  ", "2  ", "3.391"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find("not usable"), std::string::npos);

  const auto network = make_weight_file({Parameter::mtt, 10.0, "paper", {"sub-02"}, "0"},
                                        initial_weights(architecture_of(Parameter::mtt), 1, "t"));
  EXPECT_NE(weights_listing(network, "w", "").find("131,905 weights in 18 tensors"), std::string::npos);
}

TEST(WeightsListing, IsPrintableWhateverTheFileHolds) {
  const WeightFile file{{{"re\ncipe", "\x1b[2J"}}, {{"a\x07", {1}, {1}}}};
  const auto text = weights_listing(file, "w", "its \r name");
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int{c};
  EXPECT_NE(text.find("\\x1b[2J"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
