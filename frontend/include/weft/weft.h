// The whole of weft for its users: tensors and functions, compile(), layers, Model, data sets.
#pragma once
#include <version>  // what the compiler and its library have
#if __cplusplus < 202002L || !defined(__cpp_lib_source_location) || !defined(__cpp_concepts)
#error weft needs C++20 (-std=c++20, or cxx_std_20, which weft::weft asks CMake for) of GCC 12 or Clang 16 or newer
#else
#include <weft/frontend/activations.h>
#include <weft/compiler/backend.h>
#include <weft/frontend/builtin.h>
#include <weft/frontend/callbacks.h>
#include <weft/frontend/compile.h>
#include <weft/frontend/functions.h>
#include <weft/frontend/initializers.h>
#include <weft/frontend/layers.h>
#include <weft/frontend/losses.h>
#include <weft/frontend/metrics.h>
#include <weft/frontend/model.h>
#include <weft/frontend/optimizers.h>
#include <weft/frontend/random.h>
#include <weft/frontend/schedules.h>
#include <weft/frontend/tensor.h>
#include <weft/runtime/csv.h>
#include <weft/runtime/cuda_device.h>
#include <weft/runtime/data.h>
#include <weft/runtime/preprocess.h>
#endif
