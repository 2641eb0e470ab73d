// The whole of weft for its users: tensors and functions, compile(), layers, Model, data sets.
#pragma once
#include <version>  // what the compiler and its library have
#if __cplusplus < 202002L || !defined(__cpp_lib_source_location) || !defined(__cpp_concepts)
#error weft needs C++20 (-std=c++20, or cxx_std_20, which weft::weft asks CMake for) of GCC 12 or Clang 16 or newer
#else
#include <weft/frontend/nn/activations.h>
#include <weft/compiler/backend.h>
#include <weft/frontend/train/builtin.h>
#include <weft/frontend/train/callbacks.h>
#include <weft/frontend/train/gpt.h>
#include <weft/frontend/executable/compile.h>
#include <weft/frontend/tensor/control.h>
#include <weft/frontend/tensor/functions.h>
#include <weft/frontend/tensor/initializers.h>
#include <weft/frontend/nn/convolution.h>
#include <weft/frontend/nn/layers.h>
#include <weft/frontend/nn/losses.h>
#include <weft/frontend/nn/metrics.h>
#include <weft/frontend/nn/normalization.h>
#include <weft/frontend/train/model.h>
#include <weft/frontend/nn/optimizers.h>
#include <weft/frontend/nn/recurrent.h>
#include <weft/frontend/tensor/random.h>
#include <weft/frontend/nn/schedules.h>
#include <weft/frontend/nn/transformer.h>
#include <weft/frontend/tensor/tensor.h>
#include <weft/frontend/tensor/windows.h>
#include <weft/runtime/data/csv.h>
#include <weft/runtime/cuda/cuda_device.h>
#include <weft/runtime/data/data.h>
#include <weft/runtime/data/preprocess.h>
#include <weft/runtime/data/text.h>
#endif
