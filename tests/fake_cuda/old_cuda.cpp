// A driver library of which only the first function is there, as if it were too old.
extern "C" int cuInit(unsigned) { return 0; }
