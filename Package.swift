// swift-tools-version: 6.0

import PackageDescription

/// Targets that carry the names of Apple's frameworks where these do not exist, so that the very same sources build
/// and are tested there. A contract test per target states what Apple documents and runs on every system.
#if os(Linux)
  let standIns: [Target] = [
    .target(
      name: "Accelerate", path: "swift/Sources/StandIns/Accelerate", linkerSettings: [.linkedLibrary("m")])
  ]
#else
  let standIns: [Target] = []
#endif

let frameworks = standIns.map { Target.Dependency.target(name: $0.name) }

let package = Package(
  name: "HTDemucsKit",
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [.library(name: "HTDemucsKit", targets: ["HTDemucsKit"])],
  targets: [
    .target(name: "HTDemucsKit", dependencies: frameworks, path: "swift/Sources/HTDemucsKit"),
    .testTarget(
      name: "HTDemucsKitTests", dependencies: ["HTDemucsKit"], path: "swift/Tests/HTDemucsKitTests"),
    .testTarget(
      name: "AccelerateContractTests", dependencies: frameworks, path: "swift/Tests/AccelerateContractTests"),
  ] + standIns,
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
