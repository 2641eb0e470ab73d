// Internal to frontend/: data in batches of rows.
#pragma once
#include <algorithm>

#include <weft/frontend/executable/compile.h>

namespace weft {

/// How many steps of a function on this batch extent run in one call, so that their results take no more than `bytes`.
inline std::int64_t steps_within(std::int64_t bytes, const Executable& step, std::int64_t batch) {
  std::int64_t each = 1;
  for (const Type& t : step.output_types(batch)) each += byte_size(t);
  return std::max<std::int64_t>(1, bytes / each);
}

/// Rows [begin, end), where they lie.
inline std::vector<Array> rows_of(std::span<const Array> arrays, std::int64_t begin, std::int64_t end) {
  std::vector<Array> rows;
  for (const Array& a : arrays) rows.push_back(a.view_rows(begin, end));
  return rows;
}

/// Calls use(results, begin, batch) for all n rows of the data in order: whole batches as many steps of one call, read
/// where they lie, then the rows that are left as one smaller batch. The results are of the rows from `begin` on.
template <class F>
void for_batches(const Executable& step, const std::vector<Array>& data, std::int64_t n, std::int64_t batch_size,
                 F&& use) {
  constexpr std::int64_t kResultBytes = 1 << 20;  // of all steps of a call, which should stay in a cache
  for (std::int64_t begin = 0; begin < n;) {
    const std::int64_t batch = std::min(batch_size, n - begin);
    const std::int64_t steps = std::min((n - begin) / batch, steps_within(kResultBytes, step, batch));
    const std::int64_t end = begin + steps * batch;
    std::vector<StepArgument> arguments;
    for (const Array& rows : rows_of(data, begin, end)) {
      Shape stacked = rows.shape();
      stacked[0] = batch;
      stacked.insert(0, steps);
      arguments.push_back(per_step(rows.reshaped(stacked)));
    }
    use(step.run_steps(steps, arguments), begin, batch);
    begin = end;
  }
}

}  // namespace weft
