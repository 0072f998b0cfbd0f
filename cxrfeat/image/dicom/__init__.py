"""DICOM radiographs: bytes of a file in, one grey image and what is known of it out."""
