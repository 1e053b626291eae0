#include <sndfile.h>
#include <stdio.h>

// Makes C code print its messages on another stream, and returns the one before. What writes to the descriptor of
// standard error itself, as Swift and Foundation do, is not affected. (glibc says that its `stderr` may be assigned.)
static inline FILE *exchange_message_stream(FILE *stream) {
  FILE *previous = stderr;
  stderr = stream;
  return previous;
}
