// Internal to frontend/: constants that are objects of classes.
#pragma once

/// In front of a constant's definition: it is made before, and destroyed after, every object of a program that does not
/// ask for the same, so that a program's globals may use it. Initialisers that use weft itself cannot come so early.
#define WEFT_EARLY [[gnu::init_priority(200)]]
