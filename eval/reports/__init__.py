"""Reports on embedded models: views of the scores that `eval.run` keeps."""
