// Runs a compiled function on a device: owns one block of its memory for all of the program's buffers, and moves between
// it and the arrays that are bound.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <weft/ir/artifact/device_artifact.h>
#include <weft/runtime/device/device.h>
#include <weft/runtime/host/program_executor.h>

namespace weft {

/// How many steps run_steps() hands to the device at once. Results do not depend on it.
struct ChunkLimits {
  std::int64_t steps = 128;
  std::int64_t launches = 4096;   // of all steps of a chunk
  std::int64_t bytes = 64 << 20;  // of their rows and outputs
  double seconds = 0.02;          // about; what is seen after each step is seen this late
  /// Chunks are one launch of the artefact's persistent entry (which it must have on a GPU) in place of a recorded graph,
  /// and `launches` does not count. Where an output must be copied after each step they are graphs all the same.
  bool persistent = false;
};

/// A block of a device's memory, released when it goes.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(std::shared_ptr<Device>, std::int64_t bytes);
  ~DeviceBlock();
  DeviceBlock(DeviceBlock&&) noexcept;
  DeviceBlock& operator=(DeviceBlock&&) noexcept;
  DeviceAddress address() const { return address_; }

 private:
  std::shared_ptr<Device> device_;
  DeviceAddress address_ = 0;
};

/// One program on one device. The arrays that are bound stay the truth between calls: each call uploads the states and
/// the inputs (those bound under an ArrayVersion once), and downloads the outputs and the updated states. A call that
/// throws for the device's sake leaves the arrays as they were.
class DeviceExecutor final : public ProgramExecutor {
 public:
  /// Loads the artefact, allocates everything that memory() reports, and uploads the constants. Throws Error when the
  /// device cannot load it, or has not enough memory: then the message says what the program needs and for what.
  DeviceExecutor(DeviceArtifact, std::shared_ptr<Device>, const ChunkLimits& = {});
  ~DeviceExecutor() override;

  void run() override;
  /// In chunks of steps, each of which is one launch of a recorded graph. `after` is called for the steps of a chunk in
  /// order when the chunk is done; where it ends the run, the chunk is undone and run anew up to that step.
  std::int64_t run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                         const AfterStep& after = {}) override;

  Device& device() const { return *device_; }

 private:
  using Addresses = std::vector<DeviceAddress>;  // by BufferId

  /// How steps of one call of run_steps() find their rows: a record of rows of the moving inputs for each step, and one
  /// of its outputs.
  struct StepPlan {
    struct Field {
      BufferId id;
      std::int64_t offset, bytes;  // in the record
    };
    std::vector<std::size_t> positions;  // of the moving inputs
    std::vector<Field> inputs, outputs;
    std::vector<bool> own;  // by output: stored to the record by its kernel (else copied)
    std::int64_t input_stride = 0, output_stride = 0;
    std::int64_t most = 1;  // steps of a chunk
    std::int64_t pace = 1;  // steps that have been quick enough
    DeviceBlock records, saved;
    DeviceBlock table;                       // of the persistent entry: i64[2], of which the first is its counter, rows
    std::vector<std::int64_t> table_values;  // empty: chunks are graphs
    std::vector<std::byte> staging;
    std::map<std::int64_t, std::unique_ptr<DeviceGraph>> graphs;  // by number of steps
    DeviceAddress input_record(std::int64_t s) const {
      return records.address() + static_cast<DeviceAddress>(s * input_stride);
    }
    DeviceAddress output_record(std::int64_t s) const {
      return records.address() + static_cast<DeviceAddress>(most * input_stride + s * output_stride);
    }
  };

  void place_buffers();
  void place(Addresses&, BufferId, DeviceAddress) const;
  void upload(BufferId, const Array&);
  void upload_bound(std::span<const StepRows> rows = {});
  void download_states();
  void launch(const Addresses&);
  DeviceAddress address(BufferId id) const { return addresses_[static_cast<std::size_t>(id)]; }

  StepPlan make_plan(std::span<const StepRows> rows);
  void launch_steps(const StepPlan&, std::int64_t steps);
  std::vector<std::int64_t> persistent_table(const StepPlan&) const;
  void run_chunk(StepPlan&, std::int64_t first, std::int64_t steps, std::span<const StepRows> rows,
                 std::span<const Array> outputs);

  std::shared_ptr<const DeviceArtifact> artifact_;
  std::shared_ptr<Device> device_;
  ChunkLimits limits_;
  std::unique_ptr<DeviceProgram> loaded_;
  DeviceBlock block_;
  Addresses addresses_;
  std::vector<ArrayVersion> uploaded_;  // by BufferId: what the device holds
  DeviceAddress updated_ = 0;           // where the states lie that the program updates, one after the other
  std::int64_t updated_bytes_ = 0;
  std::unique_ptr<DeviceGraph> once_;
  std::optional<StepPlan> plan_;
};

}  // namespace weft
