// The line of the user's call: the last parameter of every function that traces, or that checks what it is given.
#pragma once
#include <source_location>

#define WEFT_HERE std::source_location where = std::source_location::current()
