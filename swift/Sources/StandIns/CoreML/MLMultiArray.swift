import Foundation

/// The type of a multi-array's elements.
public enum MLMultiArrayDataType: Int, Sendable {
  case double = 0x10040
  case float32 = 0x10020
  case float16 = 0x10010
  case int32 = 0x20020

  /// Size of an element.
  var bytes: Int { rawValue & 0xFFFF / 8 }
}

/// Numbers of one type in as many dimensions as its shape has lengths.
///
/// The element at `index` lies `sum over d of index[d] * strides[d]` elements behind the first.
open class MLMultiArray: NSObject {
  /// Length of every dimension.
  public let shape: [NSNumber]
  /// Distance between neighbours along every dimension, in elements.
  public let strides: [NSNumber]
  /// The type of the elements.
  public let dataType: MLMultiArrayDataType
  /// Number of elements: the product of the lengths.
  public let count: Int

  private let memory: UnsafeMutableRawBufferPointer
  private let deallocator: @Sendable (UnsafeMutableRawPointer) -> Void

  /// An array in memory of its own, the last dimension's elements side by side, nothing between rows.
  ///
  /// The contents are not initialised: here, every byte is 0xFF, which is NaN.
  ///
  /// - Parameters:
  ///   - shape: Length of every dimension.
  ///   - dataType: The type of the elements.
  /// - Throws: An `NSError` if there is no dimension or a length is less than 1.
  public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
    var strides = shape
    var distance = 1
    for axis in shape.indices.reversed() {
      strides[axis] = NSNumber(value: distance)
      distance = try multiply(distance, shape[axis].intValue)
    }
    let extent = try MemoryExtent(shape: shape, strides: strides, dataType: dataType)
    let memory = AlignedMemory.allocate(bytes: extent.bytes)
    memory.initializeMemory(as: UInt8.self, repeating: 0xFF)
    self.init(extent, memory: memory) { $0.deallocate() }
  }

  /// An array over memory of the caller's.
  ///
  /// - Parameters:
  ///   - dataPointer: The first element.
  ///   - shape: Length of every dimension.
  ///   - dataType: The type of the elements.
  ///   - strides: Distance between neighbours along every dimension, in elements.
  ///   - deallocator: Called with `dataPointer` when the array goes.
  /// - Throws: An `NSError` if `shape` and `strides` do not describe an array; the deallocator is not called then.
  public convenience init(
    dataPointer: UnsafeMutableRawPointer, shape: [NSNumber], dataType: MLMultiArrayDataType, strides: [NSNumber],
    deallocator: (@Sendable (UnsafeMutableRawPointer) -> Void)? = nil
  ) throws {
    let extent = try MemoryExtent(shape: shape, strides: strides, dataType: dataType)
    let memory = UnsafeMutableRawBufferPointer(start: dataPointer, count: extent.bytes)
    self.init(extent, memory: memory) { deallocator?($0) }
  }

  private init(
    _ extent: MemoryExtent, memory: UnsafeMutableRawBufferPointer,
    deallocator: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
  ) {
    shape = extent.shape
    strides = extent.strides
    dataType = extent.dataType
    count = extent.count
    self.memory = memory
    self.deallocator = deallocator
    super.init()
  }

  deinit {
    guard let start = memory.baseAddress else { return }
    deallocator(start)
  }

  /// Lends the memory for reading, from the first element to the last; what lies between rows is no data.
  ///
  /// - Parameter body: What reads; the pointer is valid only meanwhile.
  /// - Returns: What `body` returns.
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(memory))
  }

  /// Lends the memory for writing, from the first element to the last.
  ///
  /// - Parameter body: What writes, with the strides to respect; the pointer is valid only meanwhile.
  /// - Returns: What `body` returns.
  public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
    try body(memory, strides.map(\.intValue))
  }
}

@available(*, unavailable)
extension MLMultiArray: @unchecked Sendable {}

/// Shape and strides that describe an array, and what memory it takes.
private struct MemoryExtent {
  let shape: [NSNumber]
  let strides: [NSNumber]
  let dataType: MLMultiArrayDataType
  let count: Int
  /// From the start of the first element to the end of the last.
  let bytes: Int

  init(shape: [NSNumber], strides: [NSNumber], dataType: MLMultiArrayDataType) throws {
    guard !shape.isEmpty, shape.allSatisfy({ $0.intValue >= 1 }) else {
      throw modelError(.generic, "a multi-array of shape \(shape) does not exist: give it lengths of at least 1")
    }
    guard strides.count == shape.count, strides.allSatisfy({ $0.intValue >= 0 }) else {
      throw modelError(.generic, "strides \(strides) do not fit shape \(shape): give one of at least 0 a dimension")
    }
    self.shape = shape
    self.strides = strides
    self.dataType = dataType
    count = try shape.reduce(1) { try multiply($0, $1.intValue) }
    var elements = 1
    for (length, stride) in zip(shape, strides) {
      elements = try add(elements, multiply(length.intValue - 1, stride.intValue))
    }
    bytes = try multiply(elements, dataType.bytes)
  }
}

private func multiply(_ a: Int, _ b: Int) throws -> Int {
  let (product, overflow) = a.multipliedReportingOverflow(by: b)
  guard !overflow else { throw modelError(.generic, "a multi-array of that size does not fit into memory") }
  return product
}

private func add(_ a: Int, _ b: Int) throws -> Int {
  let (sum, overflow) = a.addingReportingOverflow(b)
  guard !overflow else { throw modelError(.generic, "a multi-array of that size does not fit into memory") }
  return sum
}

/// Memory for arrays, in whose rows vector instructions may load whole registers.
enum AlignedMemory {
  static func allocate(bytes: Int) -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: bytes, alignment: 64)
  }
}

extension MLMultiArray {
  /// The shape as integers.
  var lengths: [Int] { shape.map(\.intValue) }

  /// A copy of the elements without anything between them, the last dimension's side by side.
  func contiguousBytes() -> [UInt8] {
    let (lengths, strides, size) = (lengths, strides.map(\.intValue), dataType.bytes)
    return withUnsafeBytes { source in
      [UInt8](unsafeUninitializedCapacity: count * size) { target, initialized in
        var index = [Int](repeating: 0, count: lengths.count)
        let target = UnsafeMutableRawBufferPointer(target)
        // Rows whose elements are neighbours are copied whole.
        let (rowLength, isWhole) = (lengths[lengths.count - 1], strides[strides.count - 1] == 1)
        let step = isWhole ? rowLength : 1
        for element in Swift.stride(from: 0, to: count, by: step) {
          let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 } * size
          let piece = UnsafeRawBufferPointer(rebasing: source[offset..<offset + step * size])
          UnsafeMutableRawBufferPointer(rebasing: target[element * size..<(element + step) * size]).copyMemory(
            from: piece)
          var axis = lengths.count - 1
          index[axis] += step
          while axis > 0, index[axis] == lengths[axis] {
            index[axis] = 0
            axis -= 1
            index[axis] += 1
          }
        }
        initialized = count * size
      }
    }
  }
}
