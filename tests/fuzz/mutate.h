// Mutations of programs and of texts.
#pragma once
#include <string>

#include "ir/kernel/kernel.h"
#include "random_graph.h"

namespace weft::test {

/// Changes a few things that a text can say, mostly to what is nearly right. The result may break any invariant;
/// print() of it is a text.
void mutate(Program&, Rng&);
/// Drops, repeats and swaps tokens and lines, replaces numbers and names, cuts the text off.
std::string mutate(std::string text, Rng&);

}  // namespace weft::test
