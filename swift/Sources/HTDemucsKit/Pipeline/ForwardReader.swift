/// Windows of a stream of blocks, at positions that never move back; zeros outside of the stream.
///
/// Holds no more than a window and a block.
struct ForwardReader {
  private let next: () throws -> Waveform?
  private var held: [[Float]]
  private var heldStart = 0
  private var hasEnded = false

  /// A reader of a stream.
  ///
  /// - Parameters:
  ///   - channels: Signals of every block.
  ///   - next: Gives the next block, or nil at the end.
  init(channels: Int = 2, next: @escaping () throws -> Waveform?) {
    self.next = next
    held = [[Float]](repeating: [], count: channels)
  }

  /// Copies the samples in `range` into planes that begin every `range.count` values: `[channels, range.count]`.
  mutating func read(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) throws {
    let first = max(range.lowerBound, 0)
    precondition(first >= heldStart, "samples from \(first) on have been let go")
    for channel in held.indices {
      held[channel].removeFirst(min(first - heldStart, held[channel].count))
    }
    heldStart = first
    // What lies before `first` in blocks to come is let go too.
    var skipped = held[0].isEmpty ? first - position : 0
    while position < range.upperBound, !hasEnded {
      guard let block = try next() else {
        hasEnded = true
        break
      }
      position += block.samples
      let dropped = min(skipped, block.samples)
      skipped -= dropped
      for channel in held.indices { held[channel] += block[channel].dropFirst(dropped) }
    }
    for channel in held.indices {
      let plane = target + channel * range.count
      let before = first - range.lowerBound
      let count = min(held[channel].count, range.upperBound - first)
      plane.update(repeating: 0, count: range.count)
      held[channel].withUnsafeBufferPointer {
        guard let start = $0.baseAddress, count > 0 else { return }
        (plane + before).update(from: start, count: count)
      }
    }
  }

  /// Samples that were taken from the stream so far.
  private var position = 0
}
