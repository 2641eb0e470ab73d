// The whole of weft for its users: tensors and functions, compile(), layers, Model, data sets.
#pragma once
#include <version>  // what the compiler and its library have
#if __cplusplus < 202002L || !defined(__cpp_lib_source_location) || !defined(__cpp_concepts)
#error weft needs C++20 (-std=c++20, or cxx_std_20, which weft::weft asks CMake for) of GCC 12 or Clang 16 or newer
#else
#include "frontend/activations.h"
#include "frontend/backend.h"
#include "frontend/builtin.h"
#include "frontend/callbacks.h"
#include "frontend/compile.h"
#include "frontend/functions.h"
#include "frontend/initializers.h"
#include "frontend/layers.h"
#include "frontend/losses.h"
#include "frontend/metrics.h"
#include "frontend/model.h"
#include "frontend/optimizers.h"
#include "frontend/random.h"
#include "frontend/schedules.h"
#include "frontend/tensor.h"
#include "runtime/csv.h"
#include "runtime/cuda_device.h"
#include "runtime/data.h"
#include "runtime/preprocess.h"
#endif
