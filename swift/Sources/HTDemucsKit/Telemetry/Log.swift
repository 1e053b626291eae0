import os

/// Lines for Console and `log stream`: subsystem `htdemucs-coreml`, category `processing`.
let log = Logger(subsystem: "htdemucs-coreml", category: "processing")
