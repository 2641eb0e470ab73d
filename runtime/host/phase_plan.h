// Which thread runs what of a compiled function, and where the threads must meet.
//
// Rule. Two phases conflict when one stores bytes that the other loads or stores: storage is compared, so views of one
// buffer and temporaries that take turns in the arena conflict too. What a phase touches is known for each thread:
// where a buffer lies along the axis that units split (HostLaunch::split) a thread touches the rows of its units, else
// all of the buffer. Between two phases in program order
//   - that conflict on one thread only (each thread's share of the one with its own share of the other), order on each
//     thread suffices;
//   - that conflict across threads, all threads meet at a barrier.
// Phases between two barriers are a group. Groups are filled in program order; a phase that must wait for the next
// barrier may be overtaken by later ones with which it has no conflict at all. Shares within a group are chosen such
// that they agree, so a chain of phases over the same rows (a network's layers over the rows of a batch) needs no
// barrier, and small phases without conflicts run at the same time, a thread each.
#pragma once
#include <cstdint>
#include <vector>

#include <weft/ir/artifact/host_artifact.h>

namespace weft {

/// The phases in the order in which every thread goes through them. When none is worth sharing, thread 0 has all the
/// work and there is no barrier.
std::vector<PlannedPhase> plan_phases(const HostArtifact&, int threads);

}  // namespace weft
