// Layout of a program's memory on a device, and its runs: once, or many steps as chunks of recorded launches.
#include "runtime/device/device_executor.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <exception>

#include "ir/base/error.h"
#include "ir/base/float_environment.h"

namespace weft {
namespace {

constexpr std::int64_t kAlign = 256;  // of a buffer: what vector loads of kernels rely on, and whole sectors

std::int64_t round_up(std::int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

DeviceBlock::DeviceBlock(std::shared_ptr<Device> device, std::int64_t bytes) : device_(std::move(device)) {
  address_ = device_->allocate(std::max(bytes, kAlign));
}
DeviceBlock::~DeviceBlock() {
  if (device_) device_->release(address_);
}
DeviceBlock::DeviceBlock(DeviceBlock&& other) noexcept
    : device_(std::move(other.device_)), address_(std::exchange(other.address_, 0)) {}
DeviceBlock& DeviceBlock::operator=(DeviceBlock&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(address_, other.address_);
  return *this;
}

DeviceExecutor::DeviceExecutor(DeviceArtifact artifact, std::shared_ptr<Device> device, const ChunkLimits& limits)
    : ProgramExecutor(artifact.memory),
      artifact_(std::make_shared<const DeviceArtifact>(std::move(artifact))),
      device_(std::move(device)),
      limits_(limits) {
  ensure(device_ != nullptr, "device executor without a device");
  const auto count = static_cast<BufferId>(table().buffers.size());
  for (const DeviceLaunch& l : artifact_->launches)
    for (const BufferId id : l.buffers) ensure(id >= 0 && id < count, "launch @{}: buffer {} of {}", l.name, id, count);
  std::lock_guard turn(device_->mutex);
  loaded_ = device_->load(artifact_);
  place_buffers();
}

DeviceExecutor::~DeviceExecutor() {
  std::lock_guard turn(device_->mutex);
  plan_.reset();
  once_.reset();
  loaded_.reset();
  block_ = {};
}

void DeviceExecutor::place_buffers() {
  const BufferTable& p = table();
  const auto count = static_cast<BufferId>(p.buffers.size());
  const auto updated = [&](BufferId id) { return std::ranges::count(p.updates, id) > 0; };
  // The states that change come first, together: they are saved and restored as one.
  std::vector<BufferId> order;
  for (const bool first : {true, false})
    for (BufferId id = 0; id < count; ++id)
      if (at(id).kind != Buffer::temp && at(id).kind != Buffer::view && updated(id) == first) order.push_back(id);
  std::int64_t end = 0;
  std::vector<std::int64_t> offsets;
  for (const BufferId id : order) {
    offsets.push_back(end);
    end += round_up(byte_size(at(id).type));
    if (updated(id)) updated_bytes_ = end;
  }
  try {
    block_ = DeviceBlock(device_, end + p.arena_bytes);
  } catch (const Error& e) {
    fail("{}\n'{}' was to have {} bytes: {} of temporaries, {} of states, {} of inputs, {} of outputs, {} of constants",
         e.what(), p.name, end + p.arena_bytes, memory_.arena_bytes, memory_.state_bytes, memory_.input_bytes,
         memory_.output_bytes, memory_.constant_bytes);
  }
  updated_ = block_.address();
  addresses_.resize(p.buffers.size());
  uploaded_.resize(p.buffers.size(), kMayChange);
  for (std::size_t i = 0; i < order.size(); ++i)
    place(addresses_, order[i], block_.address() + static_cast<DeviceAddress>(offsets[i]));
  for (BufferId id = 0; id < count; ++id) {
    if (at(id).kind == Buffer::temp)
      place(addresses_, id, block_.address() + static_cast<DeviceAddress>(end + at(id).offset));
    if (at(id).kind == Buffer::constant) upload(id, *array(id));
  }
}

void DeviceExecutor::place(Addresses& addresses, BufferId id, DeviceAddress address) const {
  addresses[static_cast<std::size_t>(id)] = address;
  for (const BufferId view : views(id)) addresses[static_cast<std::size_t>(view)] = address;
}

void DeviceExecutor::upload(BufferId id, const Array& a) {
  if (a.bytes() > 0) device_->upload(address(id), a.data(), static_cast<std::int64_t>(a.bytes()));
}

void DeviceExecutor::upload_bound(std::span<const StepRows> rows) {
  const BufferTable& p = table();
  for (std::size_t i = 0; i < p.inputs.size(); ++i) {
    const BufferId id = p.inputs[i];
    if (std::ranges::count(rows, i, &StepRows::position)) continue;
    ArrayVersion& there = uploaded_[static_cast<std::size_t>(id)];
    if (at(id).kind == Buffer::input && version(id) != kMayChange && there == version(id)) continue;
    there = kMayChange;
    upload(id, *array(id));
    there = version(id);
  }
}

void DeviceExecutor::download_states() {
  for (const BufferId id : table().updates)
    if (const Array& a = *array(id); a.bytes() > 0)
      device_->download(a.data(), address(id), static_cast<std::int64_t>(a.bytes()));
}

void DeviceExecutor::launch(const Addresses& addresses) {
  std::vector<DeviceAddress> arguments;
  for (std::size_t i = 0; i < artifact_->launches.size(); ++i) {
    const DeviceLaunch& l = artifact_->launches[i];
    if (l.blocks == 0) continue;
    arguments.clear();
    for (const BufferId id : l.buffers) arguments.push_back(addresses[static_cast<std::size_t>(id)]);
    loaded_->launch(i, arguments);
  }
}

void DeviceExecutor::run() {
  const DefaultFloats floats;
  check_bindings();
  std::lock_guard turn(device_->mutex);
  upload_bound();
  if (!once_) once_ = device_->record([this] { launch(addresses_); });
  once_->launch();
  for (BufferId id = 0; id < static_cast<BufferId>(table().buffers.size()); ++id)
    if (at(id).kind == Buffer::output && array(id)->bytes() > 0)
      device_->download(array(id)->data(), address(id), static_cast<std::int64_t>(array(id)->bytes()));
  download_states();
  device_->synchronize();
}

DeviceExecutor::StepPlan DeviceExecutor::make_plan(std::span<const StepRows> rows) {
  const BufferTable& p = table();
  StepPlan plan;
  const auto add = [&](std::vector<StepPlan::Field>& places, std::int64_t& stride, BufferId id) {
    const std::int64_t bytes = byte_size(at(id).type);
    places.push_back({storage(p, id), stride, bytes});
    stride += round_up(bytes);
  };
  for (const StepRows& r : rows) {
    plan.positions.push_back(r.position);
    add(plan.inputs, plan.input_stride, p.inputs[r.position]);
  }
  for (const BufferId id : p.outputs) {
    const BufferId root = storage(p, id);
    plan.own.push_back(at(root).kind == Buffer::output &&
                       std::ranges::none_of(plan.outputs, [&](const auto& o) { return o.id == root; }));
    add(plan.outputs, plan.output_stride, id);
  }
  const auto launches = std::max<std::int64_t>(1, std::ranges::ssize(artifact_->launches));
  const std::int64_t record = std::max<std::int64_t>(1, plan.input_stride + plan.output_stride);
  const bool persistent = limits_.persistent && std::ranges::all_of(plan.own, std::identity());
  plan.most = std::min(limits_.steps, limits_.bytes / record);
  if (!persistent) plan.most = std::min(plan.most, limits_.launches / launches);
  plan.most = std::max<std::int64_t>(1, plan.most);
  plan.most = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(plan.most)));
  plan.records = DeviceBlock(device_, plan.most * (plan.input_stride + plan.output_stride));
  if (persistent) {
    plan.table_values = persistent_table(plan);
    plan.table = DeviceBlock(device_, std::ssize(plan.table_values) * static_cast<std::int64_t>(sizeof(std::int64_t)));
  }
  plan.staging.resize(static_cast<std::size_t>(plan.most * std::max(plan.input_stride, plan.output_stride)));
  return plan;
}

std::vector<std::int64_t> DeviceExecutor::persistent_table(const StepPlan& plan) const {
  Addresses first = addresses_, stride(addresses_.size());
  for (const auto& i : plan.inputs) {
    place(first, i.id, plan.input_record(0) + static_cast<DeviceAddress>(i.offset));
    place(stride, i.id, static_cast<DeviceAddress>(plan.input_stride));
  }
  for (const auto& o : plan.outputs) {
    place(first, o.id, plan.output_record(0) + static_cast<DeviceAddress>(o.offset));
    place(stride, o.id, static_cast<DeviceAddress>(plan.output_stride));
  }
  std::vector<std::int64_t> values(2);
  for (const DeviceLaunch& l : artifact_->launches)
    for (const BufferId id : l.buffers)
      for (const Addresses* a : {&first, &stride})
        values.push_back(static_cast<std::int64_t>((*a)[static_cast<std::size_t>(id)]));
  return values;
}

void DeviceExecutor::launch_steps(const StepPlan& plan, std::int64_t steps) {
  Addresses addresses = addresses_;
  for (std::int64_t s = 0; s < steps; ++s) {
    const DeviceAddress in = plan.input_record(s), out = plan.output_record(s);
    for (const auto& i : plan.inputs) place(addresses, i.id, in + static_cast<DeviceAddress>(i.offset));
    for (std::size_t i = 0; i < plan.outputs.size(); ++i)
      if (plan.own[i]) place(addresses, plan.outputs[i].id, out + static_cast<DeviceAddress>(plan.outputs[i].offset));
    launch(addresses);
    for (std::size_t i = 0; i < plan.outputs.size(); ++i)
      if (const auto& o = plan.outputs[i]; !plan.own[i] && o.bytes > 0)
        device_->copy(out + static_cast<DeviceAddress>(o.offset), addresses[static_cast<std::size_t>(o.id)], o.bytes);
  }
}

/// Steps [first, first + steps): rows to the device, launches, outputs to row first … of `outputs`.
void DeviceExecutor::run_chunk(StepPlan& plan, std::int64_t first, std::int64_t steps, std::span<const StepRows> rows,
                               std::span<const Array> outputs) {
  for (std::int64_t s = 0; s < steps; ++s)
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::memcpy(plan.staging.data() + s * plan.input_stride + plan.inputs[i].offset,
                  rows[i].array.data() + (first + s) * plan.inputs[i].bytes,
                  static_cast<std::size_t>(plan.inputs[i].bytes));
  if (plan.input_stride > 0) device_->upload(plan.input_record(0), plan.staging.data(), steps * plan.input_stride);
  if (!plan.table_values.empty()) {
    const DeviceAddress table = plan.table.address();
    device_->upload(table, reinterpret_cast<const std::byte*>(plan.table_values.data()),
                    std::ssize(plan.table_values) * static_cast<std::int64_t>(sizeof(std::int64_t)));
    loaded_->launch_persistent(table + 2 * sizeof(std::int64_t), table, steps);
  } else {
    auto& graph = plan.graphs[steps];
    if (!graph) graph = device_->record([&] { launch_steps(plan, steps); });
    graph->launch();
  }
  if (plan.output_stride > 0)
    device_->download(plan.staging.data(), plan.output_record(0), steps * plan.output_stride);
  else
    device_->synchronize();
  for (std::int64_t s = 0; s < steps; ++s)
    for (std::size_t i = 0; i < outputs.size(); ++i)
      std::memcpy(outputs[i].data() + (first + s) * plan.outputs[i].bytes,
                  plan.staging.data() + s * plan.output_stride + plan.outputs[i].offset,
                  static_cast<std::size_t>(plan.outputs[i].bytes));
}

std::int64_t DeviceExecutor::run_steps(std::int64_t steps, std::span<const StepRows> rows,
                                       std::span<const Array> outputs, const AfterStep& after) {
  using Clock = std::chrono::steady_clock;
  const DefaultFloats floats;
  check_steps(steps, rows, outputs);
  check_bindings(rows);
  std::lock_guard turn(device_->mutex);
  if (!plan_ || !std::ranges::equal(plan_->positions, rows, {}, {}, &StepRows::position)) {
    plan_.reset();
    plan_ = make_plan(rows);
  }
  StepPlan& plan = *plan_;
  if (after && updated_bytes_ > 0 && plan.saved.address() == 0) plan.saved = DeviceBlock(device_, updated_bytes_);
  upload_bound(rows);

  std::int64_t done = 0;
  std::exception_ptr error;  // of `after`
  for (bool go_on = true; go_on && done < steps;) {
    // Powers of two, so that few graphs serve all numbers of steps.
    const auto left = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(steps - done)));
    const std::int64_t chunk = std::min(left, after ? plan.pace : plan.most);
    if (after && chunk > 1 && updated_bytes_ > 0) device_->copy(plan.saved.address(), updated_, updated_bytes_);
    const auto start = Clock::now();
    run_chunk(plan, done, chunk, rows, outputs);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (chunk == plan.pace && 2 * seconds <= limits_.seconds) plan.pace = std::min(2 * plan.pace, plan.most);
    if (chunk > 1 && seconds > 2 * limits_.seconds) plan.pace = std::max<std::int64_t>(1, chunk / 2);
    std::int64_t seen = after ? 0 : chunk;
    try {
      while (go_on && seen < chunk) go_on = after(done + seen++);
    } catch (...) {
      error = std::current_exception();
      go_on = false;
    }
    if (seen < chunk) {  // the same steps give the same bits
      if (updated_bytes_ > 0) device_->copy(updated_, plan.saved.address(), updated_bytes_);
      launch_steps(plan, seen);
    }
    done += seen;
  }
  download_states();
  device_->synchronize();
  if (error) std::rethrow_exception(error);
  return done;
}

}  // namespace weft
