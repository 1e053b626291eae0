import Foundation

/// Runs `body`, then lets go of the objects that Apple's frameworks have put off releasing.
///
/// Elsewhere in a task these last until it is next suspended: whoever reads a file block by block without a suspension would
/// hold all blocks in the end. Source: Apple, "Using Autorelease Pool Blocks".
func releasingObjects<Result>(_ body: () throws -> Result) rethrows -> Result {
  #if canImport(ObjectiveC)
    return try autoreleasepool(invoking: body)
  #else
    return try body()
  #endif
}
