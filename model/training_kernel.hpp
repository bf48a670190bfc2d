// The arithmetic of a training step, compiled three times: for AVX-512, for AVX2 with FMA, and for any machine. Which
// of them runs is chosen at run time.
//
// As in the dense inference engine (model/dense_kernel.hpp), every element of every product is one chain of fused
// multiply-adds in a fixed order, whatever the width of the vectors: the AVX-512 and the AVX2 kernel give the same
// bits.
//
// Weights are "input index first, 32 outputs together": a layer [inputs, outputs] lies as panels of 32 outputs, each
// [inputs, 32]; gradients lie alike. Transposed weights are panels of 32 inputs, each [outputs, 32]. Rows of
// activations are samples, or curves (nine for a sample, y-major). Pointers to weights and activations are 64-byte
// aligned but for curves, behind which another 64 bytes must be readable. Functions that fill rows fill them up to the
// next multiple of training_rows; those that add to gradients take the given number of rows alone, and with `fresh`
// count what was in the gradients as zero.
#pragma once

#include <cstdint>
#include <vector>

namespace perfpipe {

/// Rows of curves that the kernels take at once; buffers have room for a multiple of it. Of rows of samples: 4.
inline constexpr int training_rows = 12;

struct TrainingKernel {
  const char* name;

  /// L1 to L3 of a chain with two time convolutions: `l2` [rows, 35, 32] and `l3` [rows, 32], from `curves` [rows, 70].
  void (*features)(const float* conv1, const float* conv1_bias, const float* conv2, const float* conv2_bias,
                   const float* curves, int rows, float* l2, float* l3);
  /// Adds the gradients of both convolutions. `d_l3` is that of L3 before its ReLU.
  void (*features_backward)(const float* conv2_transposed, const float* curves, int rows, const float* l2,
                            const float* d_l3, bool fresh, float* d_conv1, float* d_conv1_bias, float* d_conv2,
                            float* d_conv2_bias);

  /// L1 to L3 of a chain with max-pooling; `winner` [rows, 32] is the first position that has the maximum.
  void (*pooled_features)(const float* conv1, const float* conv1_bias, const float* curves, int rows, float* l3,
                          std::int32_t* winner);
  /// Adds the gradients of the convolution: they come from the winners alone.
  void (*pooled_backward)(const float* curves, int rows, const std::int32_t* winner, const float* d_l3, bool fresh,
                          float* d_conv1, float* d_conv1_bias);

  /// L4 of the four 2x2 windows of each patch: `l4` [samples, 4, 32] from `l3` [samples, 9, 32].
  void (*windows)(const float* conv3, const float* conv3_bias, const float* l3, int samples, float* l4);
  /// Adds the gradients of the convolution; writes `d_l3` [samples, 9, 32], before L3's ReLU. `d_l4` is before L4's.
  void (*windows_backward)(const float* conv3_transposed, const float* l3, int samples, const float* d_l4, bool fresh,
                           float* d_l3, float* d_conv3, float* d_conv3_bias);

  /// relu(start + input * weights), all [samples, 128]; row s of start lies at start + s * start_stride (0: a bias).
  void (*connected)(const float* weights, const float* start, int start_stride, const float* input, int samples,
                    float* output);
  /// Adds the weights' gradient; writes `d_input`, before the ReLU whose output `input` is.
  void (*connected_backward)(const float* weights_transposed, const float* input, int samples, const float* d_output,
                             bool fresh, float* d_input, float* d_weights);

  /// relu(bias + input * weights) or, without a ReLU, for one panel: input [rows, 32], weights [32, 32]; the output's
  /// rows are `output_stride` apart.
  void (*panel)(const float* weights, const float* bias, const float* input, int rows, bool relu, float* output,
                int output_stride);
  /// output[r] = gate[r] > 0 ? input[r] * weights : 0: input [rows, inputs] with inputs 32 or 128, weights [inputs,
  /// 32].
  void (*gated)(const float* weights, const float* input, int inputs, int rows, const float* gate, float* output);
  /// gradient [32, 32] = input [rows, 32]^T * d_output, whose rows are `stride` apart.
  void (*panel_gradient)(const float* input, int rows, const float* d_output, int stride, float* gradient);

  /// estimates[s] = bias + l7[s] * fc8, l7 [samples, 128].
  void (*output)(const float* fc8, float bias, const float* l7, int samples, float* estimates);
  /// Adds to the gradient of fc8 [128]; writes `d_l7` [samples, 128], before L7's ReLU.
  void (*output_backward)(const float* fc8, const float* l7, int samples, const float* d_estimates, bool fresh,
                          float* d_l7, float* d_fc8);
  /// sum [columns] += all rows [rows, columns]; columns is a multiple of 32.
  void (*add_rows)(const float* values, int rows, int columns, bool fresh, float* sum);
};

/// The kernels; null where this build has none (other processors). Whether the machine can run one is the caller's
/// question.
const TrainingKernel* avx512_training_kernel();
const TrainingKernel* avx2_training_kernel();
const TrainingKernel* portable_training_kernel();

/// The kernels that this machine can run, the fastest first.
std::vector<const TrainingKernel*> training_kernels();

}  // namespace perfpipe
