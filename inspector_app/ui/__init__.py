"""What people see: PySide6. Never torch or onnx; numpy and pyqtgraph only on first use."""
