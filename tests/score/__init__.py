"""`./run score`: the detectors on labelled data sets, scored by the bench's own scorer; labels are never read here."""
