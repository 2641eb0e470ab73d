// The part of the kernel verifier that looks at expressions and accesses by themselves.
#pragma once
#include <string>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Throws Error when an access does not fit its buffer, or an indirect index is no i64 expression before `limit`;
/// `what` begins the message. The kernel's axes are valid.
void check_access(const Program&, const Kernel&, BufferId, const std::vector<Index>&, ExprId limit,
                  const std::string& what);
/// Throws Error when an expression of the kernel breaks invariant 6 (ir/kernel/verify_exprs.cpp). The kernel's axes are valid.
void check_exprs(const Program&, const Kernel&);

}  // namespace weft
