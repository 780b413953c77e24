from maml_tf.cli import main

main()
